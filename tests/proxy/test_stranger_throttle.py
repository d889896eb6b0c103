"""Whoever guesses keys causes few look-ups, however many guesses come at once; whoever holds keys is not kept waiting."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from accounts.ways_in.presented import Presented
from proxy.errors import Code, Refusal
from proxy.identities import ASKED_MAX, Identities
from proxy.principal import Principal
from proxy.stranger_throttle import BURST, PER_SECOND, StrangerThrottle
from tests.proxy.principals import a_presented, a_principal


class Rows:
    """Stands where PostgreSQL does, slowly."""

    def __init__(self) -> None:
        self.valid: set[str] = set()
        self.loads = 0
        self.fault: Refusal | None = None

    def load(self, presented: Presented) -> Principal | None:
        self.loads += 1
        time.sleep(0.005)
        if self.fault is not None:
            raise self.fault
        return a_principal() if presented.text in self.valid else None


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def identities(rows: Rows) -> Iterator[Identities]:
    made = Identities(
        load_principal=rows.load, load_routes=dict, feed_age_s=lambda: 0.0, grace_s=60
    )
    yield made
    made.close()


async def ask(identities: Identities, credential: str, peer: str) -> str:
    """Return how the key was answered."""
    try:
        principal = await identities.find(a_presented(credential), peer=peer)
    except Refusal as refusal:
        return refusal.code.code
    return "unknown" if principal is None else "known"


async def test_many_unknown_keys_at_once_cause_no_more_look_ups_than_a_burst(
    rows: Rows, identities: Identities
) -> None:
    began = time.monotonic()
    answers = Counter(
        await asyncio.gather(*(ask(identities, f"guess-{n}", "192.0.2.1") for n in range(3000)))
    )
    refilled = (time.monotonic() - began) * PER_SECOND

    assert BURST <= rows.loads <= BURST + refilled + 1
    assert answers["unknown"] == rows.loads
    assert answers[Code.TOO_MANY_UNKNOWN_CREDENTIALS.code] <= ASKED_MAX
    assert answers[Code.IDENTITY_UNAVAILABLE.code] >= 3000 - ASKED_MAX
    assert await ask(identities, "one-more", "192.0.2.1") == "too_many_unknown_credentials"
    assert await ask(identities, "one-more", "192.0.2.2") == "unknown"


async def test_many_valid_keys_of_one_peer_are_all_found_at_once(
    rows: Rows, identities: Identities
) -> None:
    rows.valid = {f"key-{n}" for n in range(200)}
    answers = await asyncio.gather(*(ask(identities, key, "192.0.2.1") for key in rows.valid))

    assert set(answers) == {"known"}
    assert rows.loads == 200


async def test_any_number_of_calls_with_one_key_share_its_look_up(
    rows: Rows, identities: Identities
) -> None:
    rows.valid = {"key"}
    answers = await asyncio.gather(*(ask(identities, "key", "192.0.2.1") for _ in range(3000)))

    assert set(answers) == {"known"}
    assert rows.loads == 1


async def test_an_address_of_ipv6_is_counted_with_its_network(
    rows: Rows, identities: Identities
) -> None:
    for number in range(int(BURST)):
        await ask(identities, f"guess-{number}", f"2001:db8:1:2:{number:x}::1")

    assert await ask(identities, "more", "2001:db8:1:2:ffff::9") == "too_many_unknown_credentials"
    assert await ask(identities, "more", "2001:db8:1:3::1") == "unknown"


async def test_a_look_up_that_failed_is_not_counted(rows: Rows, identities: Identities) -> None:
    rows.fault = Refusal(Code.IDENTITY_UNAVAILABLE)
    for number in range(2 * int(BURST)):
        assert await ask(identities, f"key-{number}", "192.0.2.1") == "identity_unavailable"

    rows.fault = None
    assert await ask(identities, "key-0", "192.0.2.1") == "unknown"


async def test_a_call_that_is_given_up_while_it_waits_leaves_nothing_behind() -> None:
    look_ups = StrangerThrottle().of("192.0.2.1")
    for _ in range(int(BURST)):
        await look_ups.take()
    waiting = [asyncio.ensure_future(look_ups.take()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    look_ups.end(was_stranger=False)

    await asyncio.wait_for(waiting[1], 1)
    assert waiting[0].cancelled()
