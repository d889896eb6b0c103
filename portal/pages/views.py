"""The pages that exist before the portal's own: home, and signing in and out."""

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError

from accounts.audit import acting, record_audit
from accounts.models.audit import AuditTag
from portal.pages.peer import page_peer

TRIES_PER_ADDRESS = "10/m"
TRIES_PER_PEER = "30/m"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is and who is signed in. Memberships are shown to the person alone."""
    memberships = (
        request.user.memberships.select_related("team").order_by("team__name")
        if request.user.is_authenticated
        else ()
    )
    return render(request, "home.html", {"memberships": memberships})


class SignIn(LoginView):
    """Signing in, throttled by the address tried and by the peer. Too many tries answer alike, right or wrong."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            too_many = _too_many(request)
        except RedisError:
            # Without a count every password could be tried.
            return render(request, "503.html", status=503)
        if too_many:
            response = render(request, "429.html", status=429)
            response["Retry-After"] = "60"
            return response
        return super().post(request, *args, **kwargs)

    @transaction.atomic
    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        person = form.get_user()
        record_audit(
            AuditTag.SIGNED_IN, actor=acting(person), subject_kind="person", subject_id=person.id
        )
        return super().form_valid(form)


def _too_many(request: HttpRequest) -> bool:
    by_address = is_ratelimited(
        request, group="sign-in-address", key=_tried_address, rate=TRIES_PER_ADDRESS, increment=True
    )
    by_peer = is_ratelimited(
        request, group="sign-in-peer", key=_peer, rate=TRIES_PER_PEER, increment=True
    )
    return bool(by_address or by_peer)


def _tried_address(group: str, request: HttpRequest) -> str:
    return request.POST.get("username", "")[:254].strip().lower()


def _peer(group: str, request: HttpRequest) -> str:
    return page_peer(request)
