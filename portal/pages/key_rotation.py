"""The page that replaces a key's secret, and the end of the old one while both work."""

import datetime
import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_key, access_key_to_rotate
from accounts.audit import acting
from accounts.key_use import use_of_old_secret
from accounts.pages.parts import show_refusal
from accounts.signed_in import person_of
from accounts.writes.key_rotation import OVERLAP, end_old_secret, rotate_key
from accounts.writes.key_schedule import set_rotation
from portal.lib.clock import utc_now
from portal.pages.keys import show_once

HOUR_S = 60 * 60
DAY_S = 24 * HOUR_S
_OVERLAPS = [
    (0, gettext_lazy("Not at all: it ends now")),
    (HOUR_S, gettext_lazy("1 hour")),
    (DAY_S, gettext_lazy("1 day")),
    (7 * DAY_S, gettext_lazy("7 days")),
    (14 * DAY_S, gettext_lazy("14 days")),
    (30 * DAY_S, gettext_lazy("30 days")),
]


_AGES = [
    ("", gettext_lazy("Only if its data ask for it")),
    (30, gettext_lazy("Every 30 days")),
    (60, gettext_lazy("Every 60 days")),
    (90, gettext_lazy("Every 90 days")),
    (180, gettext_lazy("Every 180 days")),
    (365, gettext_lazy("Every 365 days")),
]


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label=gettext_lazy("How long does the old secret go on working?"),
        choices=_OVERLAPS,
        coerce=int,
        initial=int(OVERLAP.total_seconds()),
        help_text=gettext_lazy("Give every application its new secret within this time."),
    )


class AgeForm(forms.Form):
    """At which age of its secret a key is rotated by itself."""

    days = forms.TypedChoiceField(
        label=gettext_lazy("Rotate it by itself"),
        choices=_AGES,
        coerce=int,
        empty_value=None,
        required=False,
        help_text=gettext_lazy(
            "The old secret then works for 7 days more, in which whatever holds it fetches the new one from the API."
        ),
    )


class LostForm(forms.Form):
    """The new secret was lost: it is replaced while the old one goes on."""

    new_was_lost = forms.BooleanField(widget=forms.HiddenInput, initial=True)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rotate(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Give a key a new secret. It stands in the answer to the form alone, as that of a new key does."""
    person = person_of(request)
    key = access_key_to_rotate(person, key_id)
    is_lost = "new_was_lost" in request.POST
    form = LostForm(request.POST) if is_lost else RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        overlap = datetime.timedelta(seconds=form.cleaned_data.get("overlap", 0))
        try:
            rotated = rotate_key(key, overlap=overlap, actor=acting(person), new_was_lost=is_lost)
        except ValidationError as error:
            show_refusal(form, error)
            key.refresh_from_db()
        else:
            return show_once(request, rotated)
    has_two = key.has_two_secrets(now=utc_now())
    return render(
        request,
        "portal/keys/rotate.html",
        {
            "key": key,
            "form": form,
            "lost": LostForm(),
            "age": AgeForm(initial={"days": key.rotates_after_days}),
            "has_two_secrets": has_two,
            "old_use": use_of_old_secret(key),
        },
    )


@require_POST
def rotation_set(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Say at which age the key is rotated by itself."""
    person = person_of(request)
    key, form = access_key_to_rotate(person, key_id), AgeForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose one of the ages that are offered."))
        return redirect("key-rotate", key_id)
    set_rotation(key, days=form.cleaned_data["days"], actor=acting(person))
    messages.success(request, _("It is kept."))
    return redirect("key", key_id)


@require_POST
def old_secret_end(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """End the old secret before the overlap is over."""
    person = person_of(request)
    end_old_secret(access_key(person, key_id, to_change=True), actor=acting(person))
    messages.success(request, _("The old secret has ended. Gateways refuse it within a second."))
    return redirect("key", key_id)
