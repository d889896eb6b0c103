import uuid

from django.conf import settings
from django_ratelimit.core import is_ratelimited
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.problems import Problem, ProblemCode
from accounts.ways_in.proven import Proven

RETRY_AFTER_S = 60


class CallerThrottle(BaseThrottle):
    """Bounds what one caller may ask, wherever they ask it from."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        too_many = is_ratelimited(
            request,
            group="api-requests",
            key=lambda *_: caller_name(request),
            rate=f"{settings.LATCHKEY_API_REQUESTS_PER_MINUTE}/m",
            increment=True,
        )
        if too_many:
            raise Problem(ProblemCode.TOO_MANY_REQUESTS, retry_after_s=RETRY_AFTER_S)
        return True


def caller_name(request: Request) -> str:
    """Name who asks: the person, by the credential they came with where they did not sign in."""
    proven = request.auth
    return name_of(request.user.pk, proven.credential_id if isinstance(proven, Proven) else None)


def name_of(person_id: uuid.UUID | None, credential_id: uuid.UUID | None) -> str:
    """The name under which a caller's requests are counted and their replies kept."""
    person = f"person:{person_id}"
    return person if credential_id is None else f"{person}:{credential_id}"
