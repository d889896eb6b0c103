import unicodedata
from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.usersessions.models import UserSession
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from accounts.models import SignOnConnection, User
from accounts.pages.throttle import refuse_too_many
from accounts.single_sign_on.connections import domain_of, enforced_for, may_always_use_password

TRIES_PER_ADDRESS = "10/m"
TRIES_PER_PEER = "30/m"


class SignIn(LoginView):
    """Signing in, throttled by the address tried and by the peer."""

    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        refusal = refuse_too_many(
            request,
            "sign-in",
            named=request.POST.get("username", ""),
            per_name=TRIES_PER_ADDRESS,
            per_peer=TRIES_PER_PEER,
        )
        return refusal or super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password is right; what else is asked for, and the session, follow from the steps of a sign-in.

        It counts for nothing where the domain signs in elsewhere, and nobody learns that it was right: not by the words,
        and not by a query that only a right password would make.
        """
        if not self._takes_password_of(form.get_user()):
            form.add_error(None, form.get_invalid_login_error())
            return self.form_invalid(form)
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        answer: HttpResponse = perform_password_login(self.request, {}, login)
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Offer the provider of the address's domain, whether or not somebody signs in with the address."""
        context = super().get_context_data(**kwargs)
        context["connections"] = SignOnConnection.objects.filter(is_enabled=True).order_by("name")
        context["enforced"] = self.enforced
        return context

    def _takes_password_of(self, person: User) -> bool:
        """Whether the person may sign in here. The database finds people by more spellings than their domain has."""
        if domain_of(self.tried) != domain_of(person.email):
            return False
        return self.enforced is None or may_always_use_password(person)

    @property
    def tried(self) -> str:
        """The address as the form reads it."""
        return unicodedata.normalize("NFKC", self.request.POST.get("username", "")[:254])

    @cached_property
    def enforced(self) -> SignOnConnection | None:
        """The connection by which alone the tried address's domain signs in, asked for once in every try."""
        return enforced_for(self.tried) if self.tried else None


class SignOut(LogoutView):
    """Ending this session, which then stands in no list of sessions either."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        UserSession.objects.filter(session_key=request.session.session_key or "").delete()
        return super().post(request, *args, **kwargs)
