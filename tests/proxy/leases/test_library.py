"""The store's function by itself, called as a process would."""

import itertools

import msgspec
import pytest
import redis

from proxy.leases.request import CLOSED_KEY, PROCESS_KEY, PROCESSES_KEY, STATE_KEY
from proxy.leases.store import _FUNCTION, LIBRARY
from proxy.leases.window import Window
from tests.proxy.leases.conftest import MakeWindow
from tests.proxy.leases.server import StoreServer

Reply = list[object]


class Caller:
    """One process's calls, with every field in the test's hand."""

    def __init__(self, server: StoreServer, process: str = "caller") -> None:
        self.client = redis.Redis.from_url(server.url, protocol=2)
        self.process = process
        self.turns = itertools.count(1)
        self.epoch = ""

    def call(self, asked: list[Window], **fields: object) -> list[object]:
        """Ask, return or charge; the windows asked for are named by their place, from 1."""
        turn = next(self.turns)
        call = {"turn": turn, "batch": turn, "resent": False, "epoch": self.epoch, "asks": []}
        call |= {"credits": [], "debts": [], "emptied": [], "windows": []} | fields
        if not call["windows"]:
            call["windows"] = [[w.limit, w.bucket_us, w.buckets, 0, True] for w in asked]
        fixed = [STATE_KEY, PROCESS_KEY + self.process, PROCESSES_KEY, CLOSED_KEY]
        keys = [*fixed, *(w.store_name for w in asked)]
        reply = self.client.fcall(
            _FUNCTION, len(keys), *keys, self.process, msgspec.msgpack.encode(call)
        )
        assert isinstance(reply, list)
        self.epoch = reply[0].decode()
        return reply

    def amounts(self, window: Window) -> dict[int, int]:
        """What every bucket of a window holds."""
        stored = self.client.hgetall(window.store_name)
        return {int(name): int(n) for name, n in stored.items() if name.isdigit()}


@pytest.fixture
def caller(server: StoreServer) -> Caller:
    """A caller on a store with the function in place."""
    caller = Caller(server)
    caller.client.function_load(LIBRARY)
    return caller


def bucket_of(reply: list[object]) -> int:
    """The live bucket of the first window of a reply."""
    lent = reply[3]
    assert isinstance(lent, list)
    return int(lent[0][0])


def test_a_credit_never_makes_a_bucket_negative(caller: Caller, window: MakeWindow) -> None:
    limited = window(100, 3600)
    bucket = bucket_of(caller.call([limited], asks=[[(1, 10)]]))
    for amount in (4, 50, 10**15):
        caller.call([limited], credits=[(1, bucket, amount)])
        assert min(caller.amounts(limited).values()) >= 0
    caller.call([limited], credits=[(1, bucket - 7, 5), (1, bucket + 7, 5)])
    assert caller.amounts(limited) == {bucket: 0}


def test_a_credit_of_another_epoch_is_dropped(caller: Caller, window: MakeWindow) -> None:
    limited = window(100, 3600)
    bucket = bucket_of(caller.call([limited], asks=[[(1, 10)]]))
    caller.call([limited], credits=[(1, bucket, 5)], epoch="another")
    assert caller.amounts(limited) == {bucket: 10}


def test_returns_sent_twice_count_once(caller: Caller, window: MakeWindow) -> None:
    limited = window(100, 3600)
    bucket = bucket_of(caller.call([limited], asks=[[(1, 50)]]))
    returns = {"batch": 90, "credits": [(1, bucket, 5)], "debts": [(1, 2)]}
    for resent in (False, True, True):
        caller.call([limited], resent=resent, **returns)
    assert caller.amounts(limited) == {bucket: 47}


def test_returns_sent_again_after_the_process_was_forgotten_do_not_count(
    caller: Caller, window: MakeWindow
) -> None:
    limited = window(100, 3600)
    bucket = bucket_of(caller.call([limited], asks=[[(1, 50)]]))
    caller.client.delete(PROCESS_KEY + caller.process)
    caller.call([limited], resent=True, credits=[(1, bucket, 5)])
    assert caller.amounts(limited) == {bucket: 50}


def test_a_call_that_arrives_after_a_later_one_lends_nothing(
    caller: Caller, window: MakeWindow
) -> None:
    limited = window(100, 3600)
    caller.call([limited], asks=[[(1, 1)]], turn=9)
    reply = caller.call([limited], asks=[[(1, 1)]], turn=8)
    assert reply[1:] == [1, [], []]
    assert sum(caller.amounts(limited).values()) == 1


def test_a_clock_that_is_set_back_lends_no_bucket_twice(caller: Caller, window: MakeWindow) -> None:
    limited = window(100, 60)
    first = bucket_of(caller.call([limited], asks=[[(1, 100)]]))
    three_days_us = 3 * 86_400 * 1_000_000
    seen_us = int(caller.client.hget(STATE_KEY, "raw_us") or 0)
    caller.client.hset(STATE_KEY, "raw_us", seen_us + three_days_us)
    moved = bucket_of(caller.call([limited], asks=[]))
    assert moved - first >= three_days_us // limited.bucket_us
    again = bucket_of(caller.call([limited], asks=[[(1, 100)]]))
    assert 0 <= again - moved <= 1
    refused = caller.call([limited], asks=[[(1, 1)]])[2]
    assert isinstance(refused, list)
    assert refused[0][0] == 1
    assert 59_000_000 < refused[0][1] <= 60_600_000


def test_slices_are_at_most_half_of_what_is_left_for_each(
    caller: Caller, server: StoreServer, window: MakeWindow
) -> None:
    limited = window(1000, 3600)
    table = [[1000, limited.bucket_us, limited.buckets, 900, True]]
    sizes = []
    for name in ("a", "b", "c"):
        other = Caller(server, name)
        lent = other.call([limited], windows=table, asks=[[(1, 1)]])[3]
        assert isinstance(lent, list)
        sizes.append(lent[0][2])
    assert sizes == [999 // 2, (999 - 499 - 1) // 4, (999 - 499 - 1 - 124 - 1) // 6]


def test_amounts_beyond_fourteen_digits_stay_exact(caller: Caller, window: MakeWindow) -> None:
    limited = window(10**15, 3600)
    for amount in (10**15 - 3, 1, 1):
        caller.call([limited], asks=[[(1, amount)]])
    assert sum(caller.amounts(limited).values()) == 10**15 - 1
    refused = caller.call([limited], asks=[[(1, 2)]])[2]
    assert isinstance(refused, list)
    assert refused[0][0] == 1


def test_buckets_that_left_are_pruned(caller: Caller, window: MakeWindow) -> None:
    limited = window(100, 60)
    bucket = bucket_of(caller.call([limited], asks=[[(1, 1)]]))
    for age in range(1, 301):
        caller.client.hset(limited.store_name, str(bucket - age), 1)
    caller.call([limited], asks=[[(1, 1)]])
    assert min(caller.amounts(limited)) >= bucket - limited.buckets
