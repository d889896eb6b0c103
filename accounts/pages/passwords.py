"""A new password: forgotten and mailed for, or changed by whoever is signed in."""

from typing import Any

from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN, PasswordResetConfirmView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.pages.throttle import refuse_too_many
from accounts.signed_in import person_of
from accounts.writes.people import ask_for_reset, change_password

RESETS_PER_ADDRESS = "5/h"
RESETS_PER_PEER = "30/h"
CHANGES_PER_PERSON = "10/m"
CHANGES_PER_PEER = "30/m"


class ForgottenForm(forms.Form):
    """The address to which a link is sent, if somebody signs in with it."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def password_forgotten(request: HttpRequest) -> HttpResponse:
    """Take an address and say the same whether or not somebody signs in with it."""
    form = ForgottenForm(request.POST or None)
    if request.method == "POST":
        refusal = refuse_too_many(
            request,
            "password-forgotten",
            named=request.POST.get("email", ""),
            per_name=RESETS_PER_ADDRESS,
            per_peer=RESETS_PER_PEER,
        )
        if refusal is not None:
            return refusal
        if form.is_valid():
            ask_for_reset(form.cleaned_data["email"])
            return render(request, "accounts/password_asked.html")
    return render(request, "accounts/password_forgotten.html", {"form": form})


class PasswordReset(PasswordResetConfirmView):
    """The link's page. The token is handed over to the session at the first visit, and its address is then without it."""

    template_name = "accounts/password_reset.html"

    def get_user(self, uidb64: str) -> User | None:
        person = super().get_user(uidb64)
        return person if isinstance(person, User) and person.is_active else None

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        # Unknown, used and ended links answer alike.
        status = 200 if context.get("validlink") else 404
        return super().render_to_response(context, status=status, **kwargs)

    def form_valid(self, form: "SetPasswordForm[User]") -> HttpResponse:
        token = self.request.session[INTERNAL_RESET_SESSION_TOKEN]
        try:
            change_password(
                form.user, password=form.cleaned_data["new_password1"], through="reset", token=token
            )
        except ValidationError as error:
            form.add_error(None, error)
            return self.form_invalid(form)
        del self.request.session[INTERNAL_RESET_SESSION_TOKEN]
        messages.success(self.request, _("Your new password is set. Sign in with it."))
        return redirect("sign-in")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password_change(request: HttpRequest) -> HttpResponse:
    """Change the password of whoever is signed in, who has to know the old one."""
    person = person_of(request)
    form = PasswordChangeForm(person, request.POST or None)
    if request.method == "POST":
        refusal = refuse_too_many(
            request,
            "password-change",
            named=str(person.pk),
            per_name=CHANGES_PER_PERSON,
            per_peer=CHANGES_PER_PEER,
        )
        if refusal is not None:
            return refusal
        if form.is_valid():
            changed = change_password(
                person, password=form.cleaned_data["new_password1"], through="page"
            )
            update_session_auth_hash(request, changed)
            UserSession.objects.create_from_request(request)
            messages.success(request, _("Your password is changed. Other devices are signed out."))
            return redirect("home")
    return render(request, "accounts/password_change.html", {"form": form})
