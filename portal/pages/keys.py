"""The pages of keys: the list, a new one shown once, one key, and its end."""

import re
import uuid
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from redis.exceptions import RedisError

from accounts.access import access_key, may_rotate, role_in, teams_of
from accounts.audit import acting
from accounts.key_use import use_of_old_secret
from accounts.models import ApiKey, User
from accounts.pages.parts import page_of, show_refusal
from accounts.roles import Right, may
from accounts.signed_in import person_of
from accounts.writes.idle_keys import enable_key
from accounts.writes.keys import IssuedKey, revoke_key
from models_registry.key_models import models_of_key
from models_registry.limit_access import limits_of_key
from models_registry.models import KeyModel
from models_registry.pages.limits import limit_rows
from models_registry.snippets import curl, curl_of_list, with_key
from models_registry.writes.keys import issue_key_as
from portal.lib.clock import utc_now
from portal.lib.hours import hours_text
from portal.pages.key_forms import KeyFilters, KeyForm, RevokeForm
from portal.pages.key_leaks import leaks_of
from portal.pages.key_states import PILLS, KeyState, state_of

LIMITS_SHOWN = 50
MODELS_SHOWN = 100
FORM_REMEMBERED_S = 24 * 60 * 60
# Somebody looks for the key that they hold: its public part finds it, and the rest is to be repeated nowhere.
_PASTED = re.compile(r"\s*lk_([0-9A-Za-z]{1,16})_", re.ASCII)


@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    pasted = _PASTED.match(request.GET.get("q", ""))
    if pasted is not None:
        return redirect(f"{reverse('keys')}?{urlencode({'q': pasted[1]})}")
    person, now = person_of(request), utc_now()
    filters = KeyFilters(request.GET, person=person)
    page = page_of(request, filters.chosen())
    return render(
        request,
        "portal/keys/keys.html",
        {
            "filters": filters,
            "is_filtered": any(filters.cleaned_data.values()),
            "page": page,
            "rows": [_row(key, state_of(key, now=now)) for key in page],
            "may_issue": teams_of(person, right=Right.ISSUE_OWN_KEYS).exists(),
        },
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_key(request: HttpRequest) -> HttpResponse:
    """Issue a key. Its text stands in the answer to the form alone: no page, session or store can show it again."""
    person = person_of(request)
    form = KeyForm(request.POST or None, person=person)
    if not form.has_holder:
        raise PermissionDenied
    if request.method == "POST" and form.is_valid():
        form_name = form_name_of(person.pk, form.cleaned_data["form_id"])
        if not _is_first(form_name):
            messages.warning(
                request, _("This form has issued its key already, whose text was shown once.")
            )
            return redirect("keys")
        try:
            issued = issue_key_as(person, **form.facts(person))
        except ValidationError as error:
            _forget(form_name)
            show_refusal(form, error)
        else:
            return show_once(request, issued)
    return render(request, "portal/keys/new.html", {"form": form})


@require_safe
def key_page(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    return _show(request, access_key(person_of(request), key_id), RevokeForm())


@require_POST
def revoke(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    person = person_of(request)
    key, form = access_key(person, key_id, to_change=True), RevokeForm(request.POST)
    if form.is_valid():
        try:
            revoke_key(key, actor=acting(person), reason=form.cleaned_data["reason"])
        except ValidationError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The key is revoked. Gateways refuse it within a second."))
            return redirect("key", key.pk)
    return _show(request, key, form)


@require_POST
def enable(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Let a key that was disabled as idle be used again."""
    person = person_of(request)
    key = access_key(person, key_id, to_change=True)
    try:
        enable_key(key, actor=acting(person))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The key is enabled. Gateways take it within a second."))
    return redirect("key", key.pk)


def _row(key: ApiKey, state: KeyState) -> dict[str, object]:
    return {"key": key, "state": state.label, "pill": PILLS[state]}


def show_once(request: HttpRequest, issued: IssuedKey) -> HttpResponse:
    """Show the text of a key that was just issued or rotated."""
    model = models_of_key(issued.key, now=utc_now()).first()
    command = curl_of_list() if model is None else curl(model)
    return render(
        request,
        "portal/keys/issued.html",
        {"key": issued.key, "text": issued.text, "command": with_key(command, issued.text)},
    )


def _show(request: HttpRequest, key: ApiKey, form: RevokeForm) -> HttpResponse:
    person, now = person_of(request), utc_now()
    state = state_of(key, now=now)
    people = User.objects.in_bulk([one for one in (key.created_by, key.revoked_by) if one])
    is_own = key.person_id == person.pk
    is_live = state in {KeyState.ACTIVE, KeyState.EXPIRING}
    return render(
        request,
        "portal/keys/key.html",
        {
            **_row(key, state),
            "form": form,
            "leaks": leaks_of(key),
            "hours": hours_text(key.hours),
            "is_live": is_live,
            "is_disabled": state is KeyState.DISABLED,
            "idle": getattr(key, "idle", None),
            "can_call": is_live and _holder_stands(key),
            "is_narrowed": key.is_narrowed or KeyModel.objects.filter(key=key).exists(),
            "models": models_of_key(key, now=now)[:MODELS_SHOWN],
            "limits": limit_rows(list(limits_of_key(person, key).order_by("id")[:LIMITS_SHOWN])),
            "may_limit": is_live and may(role_in(person, key.team), Right.MANAGE_LIMITS),
            "issued_by": people.get(key.created_by),
            "revoked_by": people.get(key.revoked_by),
            "requests_per_minute": key.requests_per_minute
            or settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE,
            "tokens_per_minute": key.tokens_per_minute
            or settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE,
            "has_two_secrets": key.has_two_secrets(now=now),
            "old_use": use_of_old_secret(key),
            "may_rotate": is_live and _holder_stands(key) and may_rotate(person, key),
            "may_revoke": key.revoked_at is None
            and (
                is_own or teams_of(person, right=Right.MANAGE_KEYS).filter(pk=key.team_id).exists()
            ),
        },
    )


def _holder_stands(key: ApiKey) -> bool:
    if key.service_account is not None:
        return key.service_account.disabled_at is None
    return key.person is not None and key.person.is_active


def form_name_of(person_id: uuid.UUID, form_id: uuid.UUID) -> str:
    """The name in the cache of one person's copy of the form."""
    return f"key-form:{person_id}:{form_id}"


def _is_first(form_name: str) -> bool:
    """Whether this copy of the form is sent for the first time. Without the store a key is issued all the same."""
    try:
        return bool(cache.add(form_name, 1, timeout=FORM_REMEMBERED_S))
    except RedisError:
        return True


def _forget(form_name: str) -> None:
    try:
        cache.delete(form_name)
    except RedisError:
        return
