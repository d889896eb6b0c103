"""What keeps one's own account safe: the password, second factors, recovery codes and sessions."""

import json

import qrcode
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.mfa.webauthn.internal.auth import begin_registration
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.audit import acting
from accounts.models import User
from accounts.pages.parts import show_refusal
from accounts.pages.proofs import CODE_MAX, CredentialForm
from accounts.pages.throttle import refuse_too_many
from accounts.second_factors import must_set_one_up, second_factors_of
from accounts.signed_in import person_of
from accounts.signing_in.factor_adapter import FactorAdapter, relying_party_id, secrets_of
from accounts.signing_in.recent_proof import note_factor
from accounts.writes.second_factors import (
    PASSKEY_NAME_MAX,
    add_passkey,
    add_totp,
    remove_factor,
    replace_recovery_codes,
)
from accounts.writes.sessions import end_session, end_sessions

CODES_PER_PERSON = "10/m"
CODES_PER_PEER = "30/m"
_SECRET_KEY = "new_totp"  # noqa: S105 - a place in the session.


class NewCodeForm(forms.Form):
    """The first code of an app that has read the secret."""

    code = forms.CharField(
        label=gettext_lazy("The code that the app shows now"),
        max_length=CODE_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class PasskeyForm(CredentialForm):
    """A new passkey and the name its owner gives it."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=PASSKEY_NAME_MAX,
        initial=gettext_lazy("Passkey"),
        help_text=gettext_lazy("What it lies on, so that you know it again: “Work laptop”."),
    )


@never_cache
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Show what keeps the account safe, and where it is signed in."""
    person = person_of(request)
    codes = Authenticator.objects.filter(user=person, type=Authenticator.Type.RECOVERY_CODES)
    context = {
        "factors": second_factors_of(person),
        "has_app": second_factors_of(person).filter(type=Authenticator.Type.TOTP).exists(),
        "codes_left": _codes_left(person, codes.first()),
        "sessions": UserSession.objects.purge_and_list(person),
        "current": request.session.session_key,
        "must_set_one_up": must_set_one_up(person),
    }
    return render(request, "accounts/security.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authenticator_app(request: HttpRequest) -> HttpResponse:
    """Show a new secret once more until a code proves that an app has read it."""
    person = person_of(request)
    form = NewCodeForm(request.POST or None)
    secret = _secret(request, person)
    if request.method == "POST":
        refusal = refuse_too_many(
            request,
            "authenticator-app",
            named=str(person.pk),
            per_name=CODES_PER_PERSON,
            per_peer=CODES_PER_PEER,
        )
        if refusal is not None:
            return refusal
        if form.is_valid():
            try:
                codes = add_totp(person, secret=secret, code=form.cleaned_data["code"])
            except ValidationError as error:
                show_refusal(form, error)
            else:
                del request.session[_SECRET_KEY]
                return _added(request, person, codes)
    url = FactorAdapter().build_totp_url(person, secret)
    return render(
        request,
        "accounts/authenticator_app.html",
        {"form": form, "secret": secret, "squares": _squares(url)},
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def passkey_add(request: HttpRequest) -> HttpResponse:
    """Bind a passkey of the browser or of a key that is plugged in."""
    person = person_of(request)
    form = PasskeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            codes = add_passkey(person, name=given["name"], credential=given["credential"])
        except (ValidationError, KeyError, AttributeError) as error:
            refused = error if isinstance(error, ValidationError) else None
            form.add_error(None, refused or _("The device's answer could not be read. Try again."))
        else:
            return _added(request, person, codes)
    options = json.dumps(begin_registration(person, passwordless=True))
    context = {"form": form, "options": options, "host": relying_party_id()}
    return render(request, "accounts/passkey_add.html", context)


@require_POST
def factor_remove(request: HttpRequest, factor_id: int) -> HttpResponse:
    """Take away one of one's own second factors."""
    person = person_of(request)
    factor = second_factors_of(person).filter(pk=factor_id).first()
    if factor is None:
        raise Http404
    remove_factor(factor, actor=acting(person))
    messages.success(request, _("It is removed, and opens nothing any more."))
    return redirect("security")


@never_cache
@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes and show them once."""
    try:
        codes = replace_recovery_codes(person_of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("security")
    return _show_once(request, codes)


@require_POST
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions; this one too, which leads out."""
    person = person_of(request)
    found = UserSession.objects.filter(user=person, pk=session_id).first()
    if found is None:
        raise Http404
    is_this_one = found.session_key == request.session.session_key
    end_session(found, actor=acting(person))
    if is_this_one:
        request.session.flush()
        return redirect("home")
    messages.success(request, _("That session has ended."))
    return redirect("security")


@require_POST
def sessions_end(request: HttpRequest) -> HttpResponse:
    """End every session of one's own but this one."""
    person = person_of(request)
    end_sessions(person, actor=acting(person), but=request.session.session_key or "")
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("security")


def _added(request: HttpRequest, person: User, codes: list[str]) -> HttpResponse:
    """Go on with a session that has proven the new factor, and show the codes that came with the first one."""
    newest = second_factors_of(person).last()
    if newest is not None:
        note_factor(request, newest)
    if codes:
        return _show_once(request, codes, is_first=True)
    messages.success(request, _("It is set up. You are asked for it when you sign in."))
    return redirect("security")


def _show_once(request: HttpRequest, codes: list[str], *, is_first: bool = False) -> HttpResponse:
    context = {"codes": "\n".join(codes), "is_first": is_first}
    return render(request, "accounts/recovery_codes.html", context)


def _secret(request: HttpRequest, person: User) -> str:
    """The secret that is being shown, sealed in the session; a new one at each visit that is not an answer."""
    adapter = FactorAdapter()
    with secrets_of(person):
        sealed = request.session.get(_SECRET_KEY) if request.method == "POST" else None
        if sealed is not None:
            return adapter.decrypt(sealed)
        secret: str = generate_totp_secret()
        request.session[_SECRET_KEY] = adapter.encrypt(secret)
    return secret


def _squares(text: str) -> dict[str, object]:
    """A QR code as one path, as the policy for contents lets in no picture that is written in a page."""
    code = qrcode.QRCode(border=4)
    code.add_data(text)
    rows = code.get_matrix()
    dark = (
        f"M{x} {y}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, is_dark in enumerate(row)
        if is_dark
    )
    return {"size": len(rows), "path": "".join(dark)}


def _codes_left(person: User, codes: Authenticator | None) -> int:
    if codes is None:
        return 0
    with secrets_of(person):
        return len(codes.wrap().get_unused_codes())
