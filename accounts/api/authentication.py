"""Who asks the management API: a person's API key, or the browser of somebody who signed in.

A request that carries a key stands or falls with it. A key is read from a header and nowhere else, and the decision is
the same for either header.
"""

import time
from typing import cast

from django.db import connection
from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from accounts.api.problems import CHALLENGE, Problem, ProblemCode
from accounts.credential import read_credential
from accounts.key_use import note_key_use
from accounts.models import ApiKey, User
from accounts.proving import REFUSED_AFTER_S, networks_of, prove_key
from portal.lib.client_address import within
from portal.lib.clock import utc_now
from portal.lib.page_peer import page_peer

UNKNOWN_KEYS_PER_PEER = "30/m"
RETRY_AFTER_S = 60


class KeyAuthentication(BaseAuthentication):
    """A person's key. The person acts in the key's team alone."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        presented = _presented(request)
        if presented is None:
            return None
        key = _proven(request, presented)
        person = key.person
        if person is None:
            raise Problem(
                ProblemCode.SCOPE_MISSING, "A service account's key calls models and nothing else."
            )
        person.acts_in_team_id = key.team_id
        return person, key

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE["WWW-Authenticate"]


class BrowserSession(SessionAuthentication):
    """Whoever signed in, on their own pages: what changes something needs the token against forgery."""

    def enforce_csrf(self, request: HttpRequest) -> None:
        try:
            super().enforce_csrf(request)  # type: ignore[arg-type]
        except PermissionDenied:
            raise Problem(
                ProblemCode.CSRF_FAILED, "Send the token as the header X-CSRFToken."
            ) from None


def _presented(request: Request) -> str | None:
    """The key from either header; both at once must agree, or one of them would go unchecked."""
    bearer: str | None = request.META.get("HTTP_AUTHORIZATION")
    plain: str | None = request.META.get("HTTP_X_API_KEY")
    if bearer is None:
        return plain
    scheme, _, token = bearer.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or (plain is not None and plain != token):
        raise Problem(ProblemCode.INVALID_CREDENTIAL, headers=CHALLENGE)
    return token


def _proven(request: Request, presented: str) -> ApiKey:
    """Return the key, used from where it may be. Raises: Problem, the same for every key that is not valid."""
    credential = read_credential(presented)
    if credential is None:
        # What no issue of a key could have made dies here, without a look-up; it is no try worth counting.
        raise Problem(ProblemCode.INVALID_CREDENTIAL, headers=CHALLENGE)
    if _has_failed_too_often(request, count_this=False):
        raise Problem(ProblemCode.TOO_MANY_UNKNOWN_CREDENTIALS, retry_after_s=RETRY_AFTER_S)
    now, refused_at = utc_now(), time.monotonic() + REFUSED_AFTER_S
    key = prove_key(credential.text, credential.public_id, now=now)
    if key is None:
        _has_failed_too_often(request, count_this=True)
        # The thread is this request's own, and a peer holds one so no oftener than its unknown keys are counted.
        time.sleep(max(0.0, refused_at - time.monotonic()))
        raise Problem(ProblemCode.INVALID_CREDENTIAL, headers=CHALLENGE)
    peer, networks = _peer(request), networks_of(key)
    if networks and not within(peer, networks):
        raise Problem(ProblemCode.ADDRESS_NOT_ALLOWED)
    connection.ensure_connection()
    note_key_use(connection.connection, {key.pk: (now, peer)})
    return key


def _has_failed_too_often(request: Request, *, count_this: bool) -> bool:
    """Whether the peer tried too many unknown keys. Raises: RedisError, as without a count every key could be tried."""
    return bool(
        is_ratelimited(
            request,
            group="api-unknown-keys",
            key=lambda *_: _peer(request),
            rate=UNKNOWN_KEYS_PER_PEER,
            increment=count_this,
        )
    )


def _peer(request: Request) -> str:
    """DRF's request hands on what Django's says."""
    return page_peer(cast("HttpRequest", request))
