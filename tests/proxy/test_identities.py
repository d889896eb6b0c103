"""What a process remembers of callers and models is never older than the change log allows."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from django.db import OperationalError

from accounts.change_feed import EVERYTHING, Changes
from accounts.credential import make_credential
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import REFUSED_AFTER_S
from proxy import identities as module
from proxy.errors import Code, Refusal
from proxy.identities import LOAD_TRIES, UNKNOWN_MAX, Identities
from proxy.leases.window import Measure, Window
from proxy.principal import Principal
from proxy.route import Route
from proxy.stranger_throttle import BURST
from tests.proxy.principals import a_presented, a_principal, a_route

T = TypeVar("T")
REGISTRY = Changes(frozenset(), registry=True, everything=False)


def changed(*ids: uuid.UUID) -> Changes:
    return Changes(frozenset(ids), registry=False, everything=False)


class Rows:
    """Stands where PostgreSQL does: what the loaders find, and when they may answer."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}
        self.routes: dict[str, Route] = {}
        self.age_s = 0.0
        self.loads = 0
        self.fault: Exception | None = None
        self.on_read: Callable[[], None] = lambda: None
        self.began = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def load_principal(self, presented: Presented) -> Principal | None:
        """Read first, answer when allowed: what a slow connection does."""
        return self._answered(lambda: self.principals.get(presented.text))

    def load_routes(self) -> dict[str, Route]:
        return self._answered(lambda: dict(self.routes))

    def hold(self) -> None:
        """Let the next load read, and then wait."""
        self.began.clear()
        self.may_answer.clear()

    def _answered(self, read: Callable[[], T]) -> T:
        self.loads += 1
        if self.fault is not None:
            raise self.fault
        found = read()
        self.on_read()
        self.began.set()
        assert self.may_answer.wait(10)
        return found


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def identities(rows: Rows) -> Iterator[Identities]:
    made = Identities(
        load_principal=rows.load_principal,
        load_routes=rows.load_routes,
        feed_age_s=lambda: rows.age_s,
        grace_s=0,
    )
    yield made
    rows.may_answer.set()
    made.close()


async def find(
    identities: Identities, credential: str, *, peer: str = "192.0.2.1"
) -> Principal | None:
    return identities.known(credential) or await identities.find(a_presented(credential), peer=peer)


async def began(rows: Rows) -> None:
    assert await asyncio.to_thread(rows.began.wait, 10)


async def test_a_key_is_loaded_once_and_remembered(rows: Rows, identities: Identities) -> None:
    rows.principals["key"] = a_principal()
    found = [await find(identities, "key") for _ in range(3)]

    assert found == [rows.principals["key"]] * 3
    assert rows.loads == 1


async def test_calls_that_arrive_together_share_one_load(
    rows: Rows, identities: Identities
) -> None:
    rows.principals["key"] = a_principal()
    await asyncio.gather(*(find(identities, "key") for _ in range(50)))

    assert rows.loads == 1


@pytest.mark.parametrize("part", ["credential_id", "team_id", "service_account_id"])
async def test_a_change_of_anything_it_rests_on_forgets_a_key(
    rows: Rows, identities: Identities, part: str
) -> None:
    rows.principals["key"] = principal = a_principal()
    rows.principals["other"] = a_principal()
    await find(identities, "key")
    await find(identities, "other")
    identities.apply(changed(getattr(principal, part), uuid.uuid4()))

    assert identities.known("key") is None
    assert identities.known("other") is not None


async def test_a_row_read_before_a_revocation_is_not_believed_after_it(
    rows: Rows, identities: Identities
) -> None:
    """The race that makes a cache say yes for ever: read, revoke, hear of it, and only then remember."""
    rows.principals["key"] = principal = a_principal()
    rows.hold()
    call = asyncio.ensure_future(find(identities, "key"))
    await began(rows)
    del rows.principals["key"]
    identities.apply(changed(principal.credential_id))
    rows.may_answer.set()

    assert await call is None
    assert identities.known("key") is None
    assert rows.loads == 2


async def test_a_loss_of_the_change_log_during_a_load_makes_it_load_again(
    rows: Rows, identities: Identities
) -> None:
    rows.principals["key"] = a_principal()
    rows.hold()
    call = asyncio.ensure_future(find(identities, "key"))
    await began(rows)
    del rows.principals["key"]
    identities.apply(EVERYTHING)
    rows.may_answer.set()

    assert await call is None


async def test_a_change_between_the_loads_end_and_the_callers_turn_is_not_lost(
    rows: Rows, identities: Identities
) -> None:
    """The change is acted on for every call that runs, and a call that waits for its key does not run yet."""
    rows.principals["key"] = principal = a_principal()
    waiting = [asyncio.ensure_future(find(identities, "key")) for _ in range(3)]
    while identities.known("key") is None:
        await asyncio.sleep(0)
    del rows.principals["key"]
    identities.apply(changed(principal.credential_id))

    assert await asyncio.gather(*waiting) == [None] * 3


async def test_a_key_that_comes_to_stand_during_a_load_is_not_remembered_as_unknown(
    rows: Rows, identities: Identities
) -> None:
    rows.hold()
    call = asyncio.ensure_future(find(identities, "key"))
    await began(rows)
    rows.principals["key"] = principal = a_principal()
    identities.apply(changed(principal.team_id))
    rows.may_answer.set()

    assert await call is None
    assert await find(identities, "key") is principal


async def test_changes_that_never_pause_are_refused_and_not_outwaited(
    rows: Rows, identities: Identities
) -> None:
    rows.principals["key"] = principal = a_principal()
    loop = asyncio.get_running_loop()

    def change() -> None:
        heard = threading.Event()
        loop.call_soon_threadsafe(identities.apply, changed(principal.credential_id))
        loop.call_soon_threadsafe(heard.set)
        assert heard.wait(10)

    rows.on_read = change
    with pytest.raises(Refusal) as refused:
        await find(identities, "key")

    assert refused.value.code is Code.IDENTITY_UNAVAILABLE
    assert rows.loads == LOAD_TRIES


async def test_models_read_before_a_change_are_read_again(
    rows: Rows, identities: Identities
) -> None:
    rows.routes["chat"] = a_route()
    rows.hold()
    call = asyncio.ensure_future(identities.routes())
    await began(rows)
    rows.routes.clear()
    identities.apply(REGISTRY)
    rows.may_answer.set()

    assert await call == {}
    assert identities.routes_now() == {}


async def test_models_that_change_between_the_loads_end_and_the_callers_turn_are_read_again(
    rows: Rows, identities: Identities
) -> None:
    rows.routes["chat"] = a_route()
    call = asyncio.ensure_future(identities.routes())
    while identities.routes_now() is None:
        await asyncio.sleep(0)
    rows.routes.clear()
    identities.apply(REGISTRY)

    assert await call == {}


async def test_unknown_keys_are_remembered_until_something_changes(
    rows: Rows, identities: Identities
) -> None:
    assert [await find(identities, "key") for _ in range(5)] == [None] * 5
    assert rows.loads == 1

    rows.principals["key"] = a_principal()
    identities.apply(changed(uuid.uuid4()))
    assert await find(identities, "key") is rows.principals["key"]


async def test_memory_of_unknown_keys_is_bounded(rows: Rows, identities: Identities) -> None:
    for number in range(UNKNOWN_MAX + 50):
        identities._remember_unknown(number.to_bytes(32))

    assert len(identities._unknown) == UNKNOWN_MAX


async def test_memory_of_keys_is_bounded_and_leaves_nothing_behind(
    rows: Rows, identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN_MAX", 10)
    rows.principals.update({f"key-{number}": a_principal() for number in range(30)})
    for name in rows.principals:
        await find(identities, name)

    assert len(identities._known) == 10
    assert len(identities._by_id) == 30


async def test_a_peer_that_guesses_keys_is_held_back_and_others_are_not(
    rows: Rows, identities: Identities
) -> None:
    for number in range(int(BURST)):
        await find(identities, f"guess-{number}")
    with pytest.raises(Refusal) as refused:
        await find(identities, "one more")

    assert refused.value.code is Code.TOO_MANY_UNKNOWN_CREDENTIALS
    assert refused.value.retry_after_s is not None
    assert await find(identities, "from elsewhere", peer="192.0.2.2") is None


async def test_a_key_that_is_known_is_never_held_back(rows: Rows, identities: Identities) -> None:
    rows.principals["key"] = a_principal()
    await find(identities, "key")
    for number in range(int(BURST)):
        await find(identities, f"guess-{number}")

    assert await find(identities, "key") is not None


async def test_a_running_call_can_be_asked_about_from_a_peer_that_is_held_back(
    rows: Rows, identities: Identities
) -> None:
    for number in range(int(BURST)):
        await find(identities, f"guess-{number}")

    assert await identities.find(a_presented("revoked"), peer=None) is None


@pytest.mark.parametrize(("age_s", "is_believed"), [(0.0, True), (1.0, True), (1.01, False)])
async def test_memory_counts_while_the_change_log_is_fresh(
    rows: Rows, identities: Identities, age_s: float, is_believed: bool
) -> None:
    rows.principals["key"] = a_principal()
    rows.routes["chat"] = a_route()
    await find(identities, "key")
    await identities.routes()
    rows.age_s = age_s

    if is_believed:
        assert await find(identities, "key") is not None
        assert identities.routes_now() is not None
        return
    assert identities.known("key") is None
    assert identities.routes_now() is None
    for ask in (find(identities, "key"), identities.routes()):
        with pytest.raises(Refusal) as refused:
            await ask
        assert refused.value.code is Code.IDENTITY_UNAVAILABLE


async def test_grace_lets_known_callers_go_on_and_nobody_else(rows: Rows) -> None:
    identities = Identities(
        load_principal=rows.load_principal,
        load_routes=rows.load_routes,
        feed_age_s=lambda: rows.age_s,
        grace_s=60,
    )
    rows.principals.update(known=a_principal(), unseen=a_principal())
    await find(identities, "known")
    rows.age_s, rows.fault = 59.0, OperationalError("away")

    assert await find(identities, "known") is not None
    with pytest.raises(Refusal) as refused:
        await find(identities, "unseen")
    assert refused.value.code is Code.IDENTITY_UNAVAILABLE
    rows.age_s = 60.1
    with pytest.raises(Refusal):
        await find(identities, "known")
    identities.close()


async def test_a_database_that_fails_is_no_verdict_on_a_key(
    rows: Rows, identities: Identities
) -> None:
    rows.principals["key"] = a_principal()
    rows.fault = OperationalError("away")
    with pytest.raises(Refusal) as refused:
        await find(identities, "key")
    assert refused.value.code is Code.IDENTITY_UNAVAILABLE

    rows.fault = None
    assert await find(identities, "key") is not None


async def test_keys_that_share_all_but_their_end_share_nothing_else(
    rows: Rows, identities: Identities
) -> None:
    """A peer remembered callers under the first 20 characters of their token."""
    text = make_credential().text
    rows.principals[text] = a_principal()
    await find(identities, text)

    for length in range(len(text)):
        assert identities.known(text[:length]) is None
        assert identities.known(text[:length] + "0" * (len(text) - length)) in (
            (None,) if text[length:] != "0" * (len(text) - length) else (rows.principals[text],)
        )


@pytest.mark.parametrize("load_s", [0.0, REFUSED_AFTER_S / 2])
async def test_a_key_is_refused_at_one_time_however_long_it_was_looked_for(
    rows: Rows, identities: Identities, load_s: float
) -> None:
    rows.on_read = lambda: time.sleep(load_s)
    started = time.monotonic()
    assert await find(identities, "unknown") is None
    assert time.monotonic() - started >= REFUSED_AFTER_S - 0.002


async def test_a_key_that_stands_and_one_that_is_remembered_wait_for_nothing(
    rows: Rows, identities: Identities
) -> None:
    took_s = []
    for number in range(5):
        await find(identities, "unknown")
        started = time.monotonic()
        assert await find(identities, "unknown") is None
        rows.principals[f"key {number}"] = a_principal()
        assert await find(identities, f"key {number}") is not None
        took_s.append(time.monotonic() - started)
    assert min(took_s) < REFUSED_AFTER_S / 2


async def test_principal_is_loaded_anew_at_the_turn_of_its_period(
    rows: Rows, identities: Identities
) -> None:
    key = make_credential().text
    rows.principals[key] = a_principal(renew_at=int(time.time()) + 1_000)
    first = await find(identities, key)
    assert await find(identities, key) is first
    rows.principals[key] = a_principal(renew_at=int(time.time()) - 1)
    identities.apply(EVERYTHING)
    over = await find(identities, key)
    assert over is not None
    rows.principals[key] = a_principal()
    assert identities.known(key) is None
    assert await find(identities, key) is rows.principals[key]


async def test_routes_are_loaded_anew_at_the_turn_of_a_period(
    rows: Rows, identities: Identities
) -> None:
    def ending_in(seconds: int) -> Window:
        ends_at = int(time.time()) + seconds
        return Window("model:ab:tokens:2026", 5, 60, Measure.TOKENS, ends_at=ends_at)

    rows.routes["chat"] = a_route(windows=(ending_in(1_000),))
    first = await identities.routes()
    assert identities.routes_now() is first
    rows.routes["chat"] = a_route(windows=(ending_in(-1),))
    identities.apply(REGISTRY)
    await identities.routes()
    assert identities.routes_now() is None
