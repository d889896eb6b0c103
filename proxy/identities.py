"""Credential → Principal, and model name → Route, in this process's memory, and never older than the change log allows.

Loader and revoker race: a row read before a revocation may arrive after it was heard of, and would then be remembered for
ever. So each load notes what changed while it ran, and an answer that any of these changes touches is thrown away.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections

from accounts.change_feed import Changes
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import REFUSED_AFTER_S, CredentialKind
from proxy.errors import Code, Refusal
from proxy.known_tokens import (
    KnownTokens,
    TokenTrust,
    caller_digest,
    load_token_trust,
    principal_of,
)
from proxy.limit_windows import renewal_of
from proxy.principal import Principal
from proxy.route import Route
from proxy.stranger_throttle import StrangerThrottle

T = TypeVar("T")
FRESH_S = 1.0
KNOWN_MAX = 100_000
UNKNOWN_MAX = 20_000
UNKNOWN_KEPT_S = 30.0
LOAD_TRIES = 5
LOAD_TIMEOUT_S = 5.0
# Keys of strangers that are looked up or wait for it; beyond that nobody would be answered in time.
ASKED_MAX = 256
_log = logging.getLogger("latchkey.identity")


@dataclass(eq=False)
class _Loading:
    """What changed since a load began."""

    ids: set[uuid.UUID] = field(default_factory=set)
    registry: bool = False
    everything: bool = False
    signing: bool = False


class Identities:
    """The process's memory of who may call and what there is to call.

    feed_age_s: seconds since the change log was last read; decides whether memory may be believed.
    grace_s: how long after that known callers go on while PostgreSQL cannot be reached.
    """

    def __init__(
        self,
        *,
        load_principal: Callable[[Presented], Principal | None],
        load_routes: Callable[[], dict[str, Route]],
        feed_age_s: Callable[[], float],
        grace_s: float,
        load_tokens: Callable[[], TokenTrust] = load_token_trust,
    ) -> None:
        self._load_principal = load_principal
        self._load_routes = load_routes
        self._load_tokens = load_tokens
        self._feed_age_s = feed_age_s
        self._believed_s = max(FRESH_S, grace_s)
        self._known: OrderedDict[bytes, Principal] = OrderedDict()
        self._by_id: dict[uuid.UUID, set[bytes]] = {}
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._routes: dict[str, Route] | None = None
        self._routes_renew_at: int | None = None
        self._loads: set[_Loading] = set()
        self._pending: dict[bytes, asyncio.Future[Principal | None]] = {}
        self._pending_routes: asyncio.Future[dict[str, Route]] | None = None
        self._tokens = KnownTokens()
        self._pending_tokens: asyncio.Future[None] | None = None
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="identity")
        self._throttle = StrangerThrottle()
        self._asked = 0
        # How often changes were heard of; a decision taken before the last one may have to be taken again.
        self.changes_heard = 0

    def known(self, credential: str) -> Principal | None:
        """The remembered principal, if memory may be believed. The steady path: no await, no look-up."""
        if not self.may_be_believed:
            return None
        return self._current(credential_digest(credential))

    async def find(self, presented: Presented, *, peer: str | None) -> Principal | None:
        """Return the principal, loading it when it is not remembered; None for a credential that is not valid.

        peer: whose unknown keys are counted; None for a key that was proven before.
        Raises: Refusal identity_unavailable, too_many_unknown_credentials.
        """
        self._refuse_blindness()
        digest = credential_digest(presented.text)
        principal = self._current(digest)
        if principal is not None:
            return principal
        if self._unknown.get(digest, 0.0) > time.monotonic():
            return None
        if presented.kind is CredentialKind.OAUTH_TOKEN:
            principal = self._of_known_caller(digest, presented)
            if principal is not None:
                return principal
        with _not_before(REFUSED_AFTER_S) as time_is_up:
            if peer is None or digest in self._pending:
                principal = await self._fetched(digest, presented)
            else:
                principal = await self._fetched_for_stranger(digest, presented, peer)
            if principal is None:
                await time_is_up
            return principal

    async def routes(self) -> dict[str, Route]:
        """Every callable model. Raises: Refusal identity_unavailable."""
        self._refuse_blindness()
        routes = self.routes_now()
        if routes is not None:
            return routes
        for _ in range(LOAD_TRIES):
            if self._pending_routes is None:
                self._pending_routes = asyncio.ensure_future(self._fetch_routes())
                self._pending_routes.add_done_callback(self._forget_pending_routes)
            routes = await asyncio.shield(self._pending_routes)
            if self._routes is routes:
                return routes
        raise outrun()

    @property
    def may_be_believed(self) -> bool:
        """Whether what is remembered is young enough to decide on."""
        return self._feed_age_s() <= self._believed_s

    def routes_now(self) -> dict[str, Route] | None:
        """The routes, if memory may be believed and no calendar's period in them is over."""
        if self._routes_renew_at is not None and self._routes_renew_at <= time.time():
            self._routes = self._routes_renew_at = None
        return self._routes if self.may_be_believed else None

    def apply(self, changes: Changes) -> None:
        """Forget what these changes touch, also in loads that are under way."""
        self.changes_heard += 1
        for loading in self._loads:
            loading.ids |= changes.ids
            loading.registry |= changes.registry
            loading.everything |= changes.everything
            loading.signing |= changes.signing
        self._tokens.apply(changes)
        self._unknown.clear()
        if changes.everything:
            self._known.clear()
            self._by_id.clear()
        for one in changes.ids:
            for digest in self._by_id.pop(one, ()):
                self._drop(digest)
        if changes.registry or changes.everything:
            self._routes = None

    async def learn_tokens(self) -> None:
        """Load what access tokens are verified with, so that those of known callers need no look-up. Raises: Refusal."""
        loading = _Loading()
        trust = await self._load(loading, self._load_tokens)
        if not (loading.everything or loading.signing):
            self._tokens.learn(trust)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _fetched_for_stranger(
        self, digest: bytes, presented: Presented, peer: str
    ) -> Principal | None:
        """Load what costs the peer a look-up unless the key proves valid."""
        if self._asked >= ASKED_MAX:
            raise Refusal(
                Code.IDENTITY_UNAVAILABLE, retry_after_s=1, detail="too many keys are looked up"
            )
        look_ups = self._throttle.of(peer)
        self._asked += 1
        try:
            await look_ups.take()
            was_stranger = True
            try:
                # Whoever waited may come after a call with the same key.
                principal = self._current(digest) or await self._fetched(digest, presented)
                was_stranger = principal is None
            except Refusal:
                # Nothing was learned of the key.
                was_stranger = False
                raise
            finally:
                look_ups.end(was_stranger=was_stranger)
        finally:
            self._asked -= 1
        return principal

    async def _fetched(self, digest: bytes, presented: Presented) -> Principal | None:
        """Load with whoever else waits for the same key.

        A change that comes between the load's end and ours is acted on for every call that runs, and ours does not run
        yet: so what is no longer remembered is not believed.
        """
        for _ in range(LOAD_TRIES):
            pending = self._pending.get(digest)
            if pending is None:
                pending = asyncio.ensure_future(self._fetch(digest, presented))
                self._pending[digest] = pending
                pending.add_done_callback(lambda done: self._forget_pending(digest, done))
            principal = await asyncio.shield(pending)
            if principal is None or self._known.get(digest) is principal:
                return principal
        raise outrun()

    async def _fetch(self, digest: bytes, presented: Presented) -> Principal | None:
        for _ in range(LOAD_TRIES):
            loading = _Loading()
            principal = await self._load(loading, self._load_principal, presented)
            if principal is None:
                # What changed meanwhile may have brought the key to stand.
                if not (loading.everything or loading.ids):
                    self._remember_unknown(digest)
                return None
            if not loading.everything and not (loading.ids & principal.depends_on):
                self._remember(digest, principal)
                if principal.kind is CredentialKind.OAUTH_TOKEN:
                    self._remember_caller(presented, principal)
                return principal
        raise outrun()

    def _of_known_caller(self, digest: bytes, presented: Presented) -> Principal | None:
        """Return the principal of a token never seen before whose caller is remembered from another. No await, no look-up."""
        if not self._tokens.is_loaded:
            if self._pending_tokens is None:
                self._pending_tokens = asyncio.ensure_future(self.learn_tokens())
                self._pending_tokens.add_done_callback(self._forget_pending_tokens)
            return None
        facts = self._tokens.read(presented.text)
        caller = None if facts is None else self._current(caller_digest(facts))
        if facts is None or caller is None:
            return None
        principal = principal_of(facts, caller)
        self._remember(digest, principal)
        return principal

    def _remember_caller(self, presented: Presented, principal: Principal) -> None:
        facts = self._tokens.read(presented.text)
        if facts is not None:
            self._remember(caller_digest(facts), principal)

    async def _fetch_routes(self) -> dict[str, Route]:
        for _ in range(LOAD_TRIES):
            loading = _Loading()
            routes = await self._load(loading, self._load_routes)
            if not loading.everything and not loading.registry:
                self._routes = routes
                self._routes_renew_at = renewal_of(
                    window for route in routes.values() for window in route.windows
                )
                return routes
        raise outrun()

    async def _load(self, loading: _Loading, load: Callable[..., T], *args: Any) -> T:
        self._loads.add(loading)
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, _with_connection, load, args
                )
        except (DatabaseError, InterfaceError, TimeoutError) as error:
            _log.warning("Identities cannot be loaded.", extra={"error": type(error).__name__})
            raise Refusal(Code.IDENTITY_UNAVAILABLE, retry_after_s=1) from None
        finally:
            self._loads.discard(loading)

    def _refuse_blindness(self) -> None:
        if not self.may_be_believed:
            raise Refusal(
                Code.IDENTITY_UNAVAILABLE, retry_after_s=1, detail="the change log cannot be read"
            )

    def _current(self, digest: bytes) -> Principal | None:
        """The remembered principal, forgotten at the turn of a calendar's period in it: its windows are over then."""
        principal = self._known.get(digest)
        if (
            principal is not None
            and principal.renew_at is not None
            and principal.renew_at <= time.time()
        ):
            self._drop(digest)
            return None
        return principal

    def _remember(self, digest: bytes, principal: Principal) -> None:
        self._known[digest] = principal
        for one in principal.depends_on:
            self._by_id.setdefault(one, set()).add(digest)
        if len(self._known) > KNOWN_MAX:
            self._drop(next(iter(self._known)))

    def _drop(self, digest: bytes) -> None:
        principal = self._known.pop(digest, None)
        if principal is None:
            return
        for one in principal.depends_on:
            holders = self._by_id.get(one)
            if holders is not None:
                holders.discard(digest)
                if not holders:
                    del self._by_id[one]

    def _remember_unknown(self, digest: bytes) -> None:
        self._unknown[digest] = time.monotonic() + UNKNOWN_KEPT_S
        if len(self._unknown) > UNKNOWN_MAX:
            self._unknown.popitem(last=False)

    def _forget_pending(self, digest: bytes, done: asyncio.Future[Principal | None]) -> None:
        self._pending.pop(digest, None)
        if not done.cancelled():
            done.exception()

    def _forget_pending_tokens(self, done: asyncio.Future[None]) -> None:
        self._pending_tokens = None
        if not done.cancelled():
            # Why it failed is in the log; the next token asks again.
            done.exception()

    def _forget_pending_routes(self, done: asyncio.Future[dict[str, Route]]) -> None:
        self._pending_routes = None
        if not done.cancelled():
            done.exception()


@contextlib.contextmanager
def _not_before(delay_s: float) -> Iterator[asyncio.Future[None]]:
    """A future that is done so long after now. Its timer is set before anything else, whose time would be seen in it."""
    loop = asyncio.get_running_loop()
    time_is_up = loop.create_future()
    timer = loop.call_later(delay_s, _finish, time_is_up)
    try:
        yield time_is_up
    finally:
        timer.cancel()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def outrun() -> Refusal:
    return Refusal(Code.IDENTITY_UNAVAILABLE, retry_after_s=1, detail="changes outran the loads")


def credential_digest(credential: str) -> bytes:
    """The whole credential under a digest: two that share any prefix never share an entry."""
    return hashlib.sha256(credential.encode()).digest()


def _with_connection(load: Callable[..., T], args: tuple[Any, ...]) -> T:
    close_old_connections()
    return load(*args)
