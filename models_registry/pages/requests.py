"""Requests for access: the list, and one with its timeline, comments, withdrawal, and the decision of whom it waits for."""

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import teams_of
from accounts.models import User
from accounts.pages.parts import page_of, show_refusal
from accounts.roles import Right
from accounts.signed_in import person_of
from models_registry.access import access_request, may_decide
from models_registry.models import AccessRequest, RequestStatus
from models_registry.pages.decision_forms import AgreeForm, DenyForm
from models_registry.pages.forms import CommentForm, RequestFilters
from models_registry.pages.timeline import timeline_of
from models_registry.step_access import (
    is_approver_of,
    requests_waiting_for,
    steps_waiting_for,
)
from models_registry.step_words import steps_shown
from models_registry.writes.requests import (
    approve_request,
    comment_on_request,
    deny_request,
    withdraw_request,
)


@require_safe
def requests(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    filters = RequestFilters(request.GET)
    found = filters.chosen(person).prefetch_related("requested_models__model")
    page = page_of(request, found)
    return render(
        request,
        "models_registry/requests.html",
        {
            "page": page,
            "status": filters.cleaned_data.get("status", ""),
            "mine": filters.cleaned_data.get("mine", False),
            "waiting": filters.cleaned_data.get("waiting", False),
            "waiting_count": requests_waiting_for(person).count(),
            "statuses": [("", _("All")), *RequestStatus.choices],
            "decide_url": _admin_url("changelist") if may_decide(person) else "",
        },
    )


@require_safe
def request_page(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    found = access_request(person_of(request), request_id)
    return _show(request, found, CommentForm())


@require_POST
def agree(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    person = person_of(request)
    found = _to_decide(person, request_id)
    form = AgreeForm(request.POST, request=found)
    if form.is_valid():
        try:
            approve_request(found, actor=person, **form.facts())
        except ValidationError as error:
            if not hasattr(error, "error_dict"):
                return _ended(request, found, error)
            show_refusal(form, _as_fields(error))
        else:
            messages.success(request, _("You have agreed."))
            return redirect("request", found.pk)
    return _show(request, found, CommentForm(), agreeing=form)


@require_POST
def deny(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    person = person_of(request)
    found, form = _to_decide(person, request_id), DenyForm(request.POST)
    if form.is_valid():
        try:
            deny_request(found, actor=person, reason=form.cleaned_data["reason"])
        except ValidationError as error:
            if not hasattr(error, "error_dict"):
                return _ended(request, found, error)
            show_refusal(form, error)
        else:
            messages.success(request, _("The request was denied."))
            return redirect("request", found.pk)
    return _show(request, found, CommentForm(), denying=form)


@require_POST
def comment(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    person = person_of(request)
    found, form = access_request(person, request_id), CommentForm(request.POST)
    if form.is_valid():
        try:
            comment_on_request(found, actor=person, text=form.cleaned_data["text"])
        except ValidationError as error:
            if not hasattr(error, "error_dict"):
                return _ended(request, found, error)
            show_refusal(form, error)
        else:
            messages.success(request, _("Your comment was added."))
            return redirect("request", found.pk)
    return _show(request, found, form)


@require_POST
def withdraw(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    person = person_of(request)
    found = access_request(person, request_id)
    if not _may_withdraw(person, found):
        raise PermissionDenied
    try:
        withdraw_request(found, actor=person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The request was withdrawn."))
    return redirect("request", found.pk)


def _show(
    request: HttpRequest,
    found: AccessRequest,
    form: CommentForm,
    *,
    agreeing: AgreeForm | None = None,
    denying: DenyForm | None = None,
) -> HttpResponse:
    person = person_of(request)
    is_open = found.status == RequestStatus.OPEN
    decides = may_decide(person)
    waits = is_open and steps_waiting_for(person).filter(request=found).exists()
    steps = list(steps_shown(found))
    may_comment = decides or _may(person, found, Right.ASK_FOR_ACCESS)
    return render(
        request,
        "models_registry/request.html",
        {
            "found": found,
            "models": found.requested_models.select_related("model", "grant").order_by(
                "model__name"
            ),
            "steps": steps,
            "timeline": timeline_of(found, steps),
            "form": form,
            "agreeing": (agreeing or AgreeForm(request=found)) if waits else None,
            "denying": (denying or DenyForm()) if waits else None,
            "may_comment": is_open and (may_comment or is_approver_of(person, found)),
            "may_withdraw": is_open and _may_withdraw(person, found),
            "decide_url": _admin_url("change", found.pk)
            if is_open and decides and found.requested_by_id != person.pk
            else "",
        },
    )


def _to_decide(person: User, request_id: uuid.UUID) -> AccessRequest:
    """The request, for whoever can agree in one of its steps. Raises: Http404, PermissionDenied."""
    found = access_request(person, request_id)
    if not is_approver_of(person, found):
        raise PermissionDenied
    return found


def _ended(request: HttpRequest, found: AccessRequest, error: ValidationError) -> HttpResponse:
    """It ended meanwhile, and its page has no form any more that could say so."""
    messages.error(request, " ".join(error.messages))
    return redirect("request", found.pk)


def _as_fields(error: ValidationError) -> ValidationError:
    """What the write refused, by the names of the form's fields."""
    names = {"ends_at": "wanted_until", "budget_micro_usd": "budget"}
    return ValidationError(
        {names.get(name, name): errors for name, errors in error.error_dict.items()}
    )


def _may(person: User, found: AccessRequest, right: Right) -> bool:
    return teams_of(person, right=right).filter(pk=found.team_id).exists()


def _may_withdraw(person: User, found: AccessRequest) -> bool:
    is_own = found.requested_by_id == person.pk
    return _may(person, found, Right.SEE_TEAM if is_own else Right.MANAGE_KEYS)


def _admin_url(kind: str, *args: object) -> str:
    """Where requests are decided on, or nothing where the administration does not show them."""
    try:
        return reverse(f"admin:models_registry_accessrequest_{kind}", args=args)
    except NoReverseMatch:
        return ""
