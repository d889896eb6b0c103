"""Staff without a second factor get no page but those on which they set one up."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.second_factors import SecondFactorNeeded, must_set_one_up
from portal.before_views import BeforeViews
from portal.sign_in_required import PUBLIC_VIEWS, refuses_strangers_itself

SET_UP_VIEWS = frozenset(
    {"security", "authenticator-app", "passkey-add", "prove", "sign-out", "sign-in"}
)
# These two tell nothing to whoever is signed in but has not got that far.
_TELL_NOTHING = PUBLIC_VIEWS - {"home"}


class StaffSecondFactor(BeforeViews):
    """Denies by default: a new page is closed to staff without a second factor, and so are those of teams that ask for one."""

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        name = "" if match is None else match.view_name
        if name in SET_UP_VIEWS or name in _TELL_NOTHING or refuses_strangers_itself(view):
            return None
        person = request.user
        if not isinstance(person, User) or not must_set_one_up(person):
            return None
        return redirect("security")

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Lead to where a second factor is set up."""
        if not isinstance(error, SecondFactorNeeded):
            return None
        messages.warning(
            request, _("This team asks its members for a second factor. Set one up here.")
        )
        return redirect("security")
