"""What the pages share on which somebody proves a second factor: a code, or a passkey's answer."""

import json
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import (
    begin_authentication,
    complete_authentication,
    parse_authentication_response,
)
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.second_factors import second_factors_of
from accounts.writes.second_factors import CREDENTIAL_MAX, use_code

TRIES_PER_PERSON = "5/m"
TRIES_PER_PEER = "30/m"
CODE_MAX = 40


class CodeForm(forms.Form):
    """A code of the authenticator app, or a recovery code."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=CODE_MAX,
        help_text=gettext_lazy("Of your authenticator app, or one of your recovery codes."),
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )


class CredentialForm(forms.Form):
    """What a browser answers for a passkey."""

    credential = forms.CharField(max_length=CREDENTIAL_MAX, widget=forms.HiddenInput)

    def clean_credential(self) -> dict[str, Any]:
        try:
            found = json.loads(self.cleaned_data["credential"])
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ValidationError(_("This is not what a passkey answers."))
        return found


def passkey_options(person: User | None) -> str:
    """The challenge for the browser, kept in the session: for the person's passkeys, or for whichever it has."""
    return json.dumps(begin_authentication(person))


def has_passkey(person: User) -> bool:
    return second_factors_of(person).filter(type=Authenticator.Type.WEBAUTHN).exists()


def proven_by_code(person: User, form: CodeForm) -> Authenticator | None:
    """Return the factor that the form's code is of; otherwise the form says that it is none."""
    if not form.is_valid():
        return None
    found = use_code(person, form.cleaned_data["code"])
    if found is None:
        form.add_error("code", _("This code is not right, or was used before."))
    return found


def proven_by_passkey(person: User, form: CredentialForm) -> Authenticator | None:
    """Return the passkey that has answered this session's challenge; otherwise the form says that none has."""
    if not form.is_valid():
        return None
    credential = form.cleaned_data["credential"]
    try:
        parse_authentication_response(credential)
        return complete_authentication(person, credential)
    except (ValidationError, KeyError, AttributeError):
        form.add_error(None, _("The passkey did not prove that it is you."))
        return None
