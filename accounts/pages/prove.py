"""Proving anew that it is still whoever signed in, before a secret is shown or a right changes."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.models import SignOnIdentity, User
from accounts.pages.parts import wanted_page
from accounts.pages.proofs import (
    TRIES_PER_PEER,
    TRIES_PER_PERSON,
    CodeForm,
    CredentialForm,
    has_passkey,
    passkey_options,
    proven_by_code,
    proven_by_passkey,
)
from accounts.pages.throttle import refuse_too_many
from accounts.second_factors import has_second_factor
from accounts.signed_in import person_of
from accounts.signing_in.recent_proof import note_factor, note_password


class PasswordForm(forms.Form):
    """The password of whoever is signed in."""

    password = forms.CharField(
        label=gettext_lazy("Password"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def prove(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor, or for the password of whoever has none, and go on to where it was asked for."""
    person = person_of(request)
    forms_by_kind = _forms(request, person)
    if request.method == "POST":
        refusal = refuse_too_many(
            request,
            "prove",
            named=str(person.pk),
            per_name=TRIES_PER_PERSON,
            per_peer=TRIES_PER_PEER,
        )
        if refusal is not None:
            return refusal
        if _proven(request, person, forms_by_kind):
            return redirect(wanted_page(request))
    context: dict[str, Any] = {**forms_by_kind, "next": wanted_page(request)}
    context["identities"] = SignOnIdentity.objects.filter(
        person=person, connection__is_enabled=True
    ).select_related("connection")
    if has_passkey(person):
        context["options"] = passkey_options(person)
    return render(request, "accounts/prove.html", context)


def _forms(request: HttpRequest, person: User) -> dict[str, forms.Form]:
    """The ways that the person has, the one that was sent filled in."""
    sent = request.POST if request.method == "POST" else None
    if not has_second_factor(person):
        return {"password": PasswordForm(sent)}
    is_code = sent is not None and "code" in sent
    return {
        "code": CodeForm(sent if is_code else None),
        "passkey": CredentialForm(None if is_code else sent),
    }


def _proven(request: HttpRequest, person: User, forms_by_kind: dict[str, Any]) -> bool:
    if "password" in forms_by_kind:
        form = forms_by_kind["password"]
        if form.is_valid() and person.check_password(form.cleaned_data["password"]):
            note_password(request, person)
            return True
        form.add_error(None, _("This is not your password."))
        return False
    code = forms_by_kind["code"]
    found = (
        proven_by_code(person, code)
        if code.is_bound
        else proven_by_passkey(person, forms_by_kind["passkey"])
    )
    if found is not None:
        note_factor(request, found)
    return found is not None
