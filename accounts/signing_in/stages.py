"""The steps of a sign-in after the password."""

from typing import Any

from allauth.account.stages import LoginStage
from allauth.mfa.webauthn.internal.flows import did_use_passwordless_login
from django.http import HttpResponse
from django.shortcuts import redirect

from accounts.second_factors import has_second_factor


class SecondFactorStage(LoginStage):  # type: ignore[misc]
    """Whoever has a second factor proves it, but for a passkey that was used instead of the password."""

    key = "second_factor"
    urlname = "second-factor"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        person: Any = self.login.user
        if did_use_passwordless_login(self.request, person) or not has_second_factor(person):
            return None, True
        return redirect(self.urlname), True
