"""The pages that exist before the portal's own: home, and signing in and out."""

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_ratelimit.core import is_ratelimited

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
        if _too_many(request):
            return render(request, "too_many_tries.html", status=429, headers={"Retry-After": "60"})
        return super().post(request, *args, **kwargs)


def _too_many(request: HttpRequest) -> bool:
    by_address = is_ratelimited(
        request, group="sign-in-address", key=_tried_address, rate=TRIES_PER_ADDRESS, increment=True
    )
    by_peer = is_ratelimited(
        request, group="sign-in-peer", key=_peer, rate=TRIES_PER_PEER, increment=True
    )
    return by_address or by_peer


def _tried_address(group: str, request: HttpRequest) -> str:
    return request.POST.get("username", "")[:254].strip().lower()


def _peer(group: str, request: HttpRequest) -> str:
    return page_peer(request)
