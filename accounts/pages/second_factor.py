"""The second step of a sign-in, and signing in by a passkey instead of a password."""

from typing import Any

from allauth.account.internal.flows.login import perform_login
from allauth.account.models import Login
from allauth.account.stages import LoginStageController
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.webauthn.internal.auth import extract_user_from_response
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import User
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
from accounts.signing_in.stages import SecondFactorStage
from portal.lib.page_peer import page_peer

PASSKEYS_PER_PEER = "30/m"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask whoever has given the right password for a code or a passkey; everybody else begins at the beginning."""
    stage = LoginStageController.enter(request, SecondFactorStage.key)
    if request.user.is_authenticated or stage is None or stage.login.user is None:
        return redirect("sign-in")
    person: User = stage.login.user
    is_code = "code" in request.POST
    code = CodeForm(request.POST if is_code else None)
    passkey = CredentialForm(request.POST if request.method == "POST" and not is_code else None)
    if request.method == "POST":
        refusal = _refuse_tries(request, person)
        if refusal is not None:
            return refusal
        found = proven_by_code(person, code) if is_code else proven_by_passkey(person, passkey)
        if found is not None:
            post_authentication(request, found)
            answer: HttpResponse = stage.exit()
            return answer
    context: dict[str, Any] = {"form": code, "passkey": passkey}
    if has_passkey(person):
        context["options"] = passkey_options(person)
    return render(request, "accounts/second_factor.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_by_passkey(request: HttpRequest) -> HttpResponse:
    """Give a challenge on a page of its own, and let in whoever's passkey answers it. All that fails reads the same."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    refusal = refuse_too_many(
        request,
        "sign-in-passkey",
        # Whose it is shows only when it has answered.
        named=page_peer(request),
        per_name=PASSKEYS_PER_PEER,
        per_peer=PASSKEYS_PER_PEER,
    )
    if refusal is not None:
        return refusal
    wanted = wanted_page(request)
    form = CredentialForm(request.POST or None)
    if request.method == "POST":
        person = _person_of(form)
        found = None if person is None else proven_by_passkey(person, form)
        if found is not None:
            post_authentication(request, found, passwordless=True)
            answer: HttpResponse = perform_login(request, Login(user=person, redirect_url=wanted))
            return answer
        form = CredentialForm({})
    context = {
        "form": form,
        "options": passkey_options(None),
        "next": wanted,
        "failed": request.method == "POST",
    }
    return render(request, "accounts/sign_in_passkey.html", context)


def _refuse_tries(request: HttpRequest, person: User) -> HttpResponse | None:
    return refuse_too_many(
        request,
        "second-factor",
        named=str(person.pk),
        per_name=TRIES_PER_PERSON,
        per_peer=TRIES_PER_PEER,
    )


def _person_of(form: CredentialForm) -> User | None:
    """Who the passkey says it is of, who is then held to prove it."""
    if not form.is_valid():
        return None
    try:
        person = extract_user_from_response(form.cleaned_data["credential"])
    except (ValidationError, AttributeError):
        return None
    return person if isinstance(person, User) and person.is_active else None
