"""The page behind an invitation's link."""

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from django import forms
from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.links import invitation_of
from accounts.models import Invitation, User
from accounts.writes.invitations import (
    InvitationClosed,
    accept_as_new_person,
    accept_invitation,
    is_open,
)

# What stands in the address instead of the token, once the session knows it.
HANDED_OVER = "open"
_SESSION_KEY = "invitation"


class JoinForm(SetPasswordForm):  # type: ignore[type-arg]
    """A new person's name and password."""

    name = forms.CharField(
        label=gettext_lazy("Your name"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("name", "new_password1", "new_password2")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Let the invited person in, as who they are or as somebody new. Unknown, used and ended links answer alike."""
    if token != HANDED_OVER:
        return _hand_over(request, token)
    try:
        return _accept(request)
    except InvitationClosed:
        return _gone(request)


def _accept(request: HttpRequest) -> HttpResponse:
    """Raises: InvitationClosed."""
    found = invitation_of(request.session.get(_SESSION_KEY, ""))
    if found is None or not is_open(found):
        raise InvitationClosed
    invited = User.objects.filter(email__iexact=found.email).first()
    if invited is not None and not invited.is_active:
        raise InvitationClosed
    if isinstance(request.user, User):
        return _for_somebody_here(request, found, request.user)
    if invited is not None:
        return _page(request, found, "sign_in")
    return _for_somebody_new(request, found)


def _hand_over(request: HttpRequest, token: str) -> HttpResponse:
    """Keep the token in the session, so that neither history nor a referrer shows it."""
    found = invitation_of(token)
    if found is None or not is_open(found):
        return _gone(request)
    request.session[_SESSION_KEY] = token
    return redirect("invitation", HANDED_OVER)


def _for_somebody_here(request: HttpRequest, found: Invitation, person: User) -> HttpResponse:
    if person.email.lower() != found.email.lower():
        return _page(request, found, "other_address")
    if request.method != "POST":
        return _page(request, found, "join")
    accept_invitation(found, person=person)
    return _welcome(request, found)


def _for_somebody_new(request: HttpRequest, found: Invitation) -> HttpResponse:
    form = JoinForm(User(email=found.email), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _join(request, found, form)
        except ValidationError as error:
            form.add_error(None, " ".join(error.messages))
        else:
            return _welcome(request, found)
    return _page(request, found, "new", form)


@transaction.atomic
def _join(request: HttpRequest, found: Invitation, form: JoinForm) -> None:
    given = form.cleaned_data
    person = accept_as_new_person(found, name=given["name"], password=given["new_password1"])
    record_authentication(request, person, method="password")
    get_adapter(request).login(request, person)


def _welcome(request: HttpRequest, found: Invitation) -> HttpResponse:
    request.session.pop(_SESSION_KEY, None)
    messages.success(request, _("You are in the team %(team)s now.") % {"team": found.team.name})
    return redirect("team", found.team.slug)


def _page(
    request: HttpRequest, found: Invitation, state: str, form: JoinForm | None = None
) -> HttpResponse:
    context = {"invitation": found, "state": state, "form": form}
    return render(request, "accounts/invitation.html", context)


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/invitation_gone.html", status=404)
