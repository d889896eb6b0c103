"""Who asks the management API: a person's credential, or the browser of somebody who signed in.

A request that carries a credential stands or falls with it. It is read from a header and nowhere else, and the decision
is the same for either header.
"""

import time
from typing import Any, cast

from django.db import connection
from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from accounts.api.problems import Problem, ProblemCode
from accounts.decoys.known import find_decoy
from accounts.decoys.sightings import sightings
from accounts.key_use import note_key_use, note_old_secret_use
from accounts.models import User
from accounts.oauth.challenges import challenge
from accounts.second_factors import must_set_one_up
from accounts.signing_in.recent_proof import proved_recently
from accounts.ways_in.presented import Presented, read_presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import REFUSED_AFTER_S, Door, Proven
from portal.lib.client_address import within
from portal.lib.clock import utc_now
from portal.lib.page_peer import page_peer

UNKNOWN_KEYS_PER_PEER = "30/m"
RETRY_AFTER_S = 60


class CredentialAuthentication(BaseAuthentication):
    """A person's key or token. The person acts in its team alone."""

    def authenticate(self, request: Request) -> tuple[User, Proven] | None:
        presented = _presented(request)
        if presented is None:
            return None
        proven = _proven(request, presented)
        person = proven.person
        if person is None:
            raise Problem(
                ProblemCode.SCOPE_MISSING, "A service account calls models and nothing else."
            )
        person.acts_in_team_id = proven.team.pk
        return person, proven

    def authenticate_header(self, request: Request) -> str:
        return challenge(Door.MANAGEMENT)


class AnyKeyAuthentication(CredentialAuthentication):
    """A key of anybody, a service account among them: for what concerns the key itself."""

    def authenticate(self, request: Request) -> tuple[Any, Proven] | None:
        presented = _presented(request)
        if presented is None:
            return None
        proven = _proven(request, presented)
        return proven.person or proven.service_account, proven


class BrowserSession(SessionAuthentication):
    """Whoever signed in, on their own pages: what changes something needs the token against forgery, and a recent proof."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        person = cast("User", found[0])
        if must_set_one_up(person):
            raise Problem(ProblemCode.SECOND_FACTOR_NEEDED)
        is_safe = request.method in ("GET", "HEAD", "OPTIONS")
        if not is_safe and not proved_recently(request._request, now=utc_now()):  # noqa: SLF001 - DRF hands it on so.
            raise Problem(ProblemCode.PROOF_NEEDED)
        return person, None

    def enforce_csrf(self, request: HttpRequest) -> None:
        try:
            super().enforce_csrf(request)  # type: ignore[arg-type]
        except PermissionDenied:
            raise Problem(
                ProblemCode.CSRF_FAILED, "Send the token as the header X-CSRFToken."
            ) from None


def _presented(request: Request) -> str | None:
    """The credential from either header; both at once must agree, or one of them would go unchecked."""
    bearer: str | None = request.META.get("HTTP_AUTHORIZATION")
    plain: str | None = request.META.get("HTTP_X_API_KEY")
    if bearer is None:
        return plain
    scheme, _, token = bearer.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or (plain is not None and plain != token):
        raise Problem(ProblemCode.INVALID_CREDENTIAL)
    return token


def _proven(request: Request, text: str) -> Proven:
    """Return who came, from where they may come. Raises: Problem, the same for every credential that is not valid."""
    presented = read_presented(text)
    if presented is None:
        # What nobody could have issued dies here, without a look-up; it is no try worth counting.
        raise Problem(ProblemCode.INVALID_CREDENTIAL)
    if _has_failed_too_often(request, count_this=False):
        raise Problem(ProblemCode.TOO_MANY_UNKNOWN_CREDENTIALS, retry_after_s=RETRY_AFTER_S)
    now, refused_at = utc_now(), time.monotonic() + REFUSED_AFTER_S
    proven = prove(presented, door=Door.MANAGEMENT, now=now)
    if proven is None:
        _note_decoy(request, presented)
        _has_failed_too_often(request, count_this=True)
        # The thread is this request's own, and a peer holds one so no oftener than its unknown keys are counted.
        time.sleep(max(0.0, refused_at - time.monotonic()))
        raise Problem(ProblemCode.INVALID_CREDENTIAL)
    peer = _peer(request)
    if not all(within(peer, networks) for networks in proven.networks):
        raise Problem(ProblemCode.ADDRESS_NOT_ALLOWED)
    if not all(hours.is_open(now) for hours in proven.hours):
        raise Problem(ProblemCode.OUTSIDE_HOURS)
    connection.ensure_connection()
    note_key_use(connection.connection, {proven.credential_id: (now, peer)})
    if proven.by_previous_secret:
        note_old_secret_use(connection.connection, {proven.credential_id: (1, now, peer)})
    return proven


def _note_decoy(request: Request, presented: Presented) -> None:
    """Have the use of a decoy noted, by somebody else: it is refused like any unknown key, and after the same time."""
    decoy = find_decoy(presented)
    if decoy is not None:
        agent = request.META.get("HTTP_USER_AGENT", "")
        sightings.add(decoy, peer=_peer(request), user_agent=agent, door=Door.MANAGEMENT)


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
