"""The end of a right ends the calls that stand on it, also when it cannot be asked for at once."""

import asyncio
import time
import uuid

import pytest
from django.db import OperationalError

from accounts.change_feed import EVERYTHING, Changes
from accounts.ways_in.presented import Presented
from portal.lib.clock import utc_now
from proxy import open_calls as module
from proxy.errors import Code
from proxy.identities import Identities
from proxy.open_calls import OpenCalls
from proxy.principal import Principal
from proxy.route import Route
from proxy.running_call import RunningCall
from proxy.stranger_throttle import BURST
from tests.proxy.principals import a_grant, a_head, a_presented, a_principal, a_route

MODEL = uuid.UUID(int=1)


class House:
    """A running call, and the rows it stands on."""

    def __init__(self, **timeouts_s: float) -> None:
        self.route = a_route(model_id=MODEL)
        self.principal: Principal | None = a_principal(grants={MODEL: (a_grant(),)})
        self.fault: Exception | None = None
        self.identities = Identities(
            load_principal=self.load,
            load_routes=self.load_routes,
            feed_age_s=lambda: 0.0,
            grace_s=60,
        )
        patient = {"body_timeout_s": 1000.0, "write_timeout_s": 1000.0, "call_timeout_s": 1000.0}
        self.open_calls = OpenCalls(self.identities, **(patient | timeouts_s))

    def load(self, presented: Presented) -> Principal | None:
        if self.fault is not None:
            raise self.fault
        return self.principal

    def load_routes(self) -> dict[str, Route]:
        return {self.route.name: self.route}

    async def begin_call(self) -> RunningCall:
        """A task that would stream for ever."""
        assert self.principal is not None
        began: asyncio.Future[RunningCall] = asyncio.get_running_loop().create_future()

        async def stream(principal: Principal) -> None:
            running = RunningCall(a_head(started_ns=10**18), principal)
            running.route = self.route
            self.open_calls.add(running)
            began.set_result(running)
            await asyncio.sleep(60)

        self.task = asyncio.ensure_future(stream(self.principal))
        return await began

    def change(self, changes: Changes) -> None:
        self.identities.apply(changes)
        self.open_calls.apply(changes)

    async def cut_within(self, seconds: float) -> bool:
        await asyncio.wait([self.task], timeout=seconds)
        return self.task.cancelled()

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.open_calls.stop()
        self.identities.close()


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    return House()


async def test_a_call_is_cut_when_its_key_ends(house: House) -> None:
    running = await house.begin_call()
    house.principal = None
    house.change(
        Changes(frozenset({running.principal.credential_id}), registry=False, everything=False)
    )

    assert await house.cut_within(1)
    assert running.cut_by is not None
    assert running.cut_by.code is Code.CREDENTIAL_ENDED
    await house.close()


async def test_a_call_goes_on_when_nothing_it_rests_on_changed(house: House) -> None:
    await house.begin_call()
    house.change(Changes(frozenset({uuid.uuid4()}), registry=False, everything=False))
    house.change(EVERYTHING)

    assert not await house.cut_within(0.3)
    await house.close()


async def test_a_call_is_asked_about_again_when_the_database_could_not_answer(
    house: House,
) -> None:
    running = await house.begin_call()
    house.open_calls.start()
    house.principal, house.fault = None, OperationalError("away")
    house.change(
        Changes(frozenset({running.principal.credential_id}), registry=False, everything=False)
    )
    assert not await house.cut_within(0.3)

    house.fault = None
    assert await house.cut_within(1)
    await house.close()


async def test_a_call_is_asked_about_again_whatever_kept_it_from_being_decided(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    running = await house.begin_call()
    house.open_calls.start()
    house.principal, house.fault = None, RuntimeError("not one of the faults foreseen")
    house.change(
        Changes(frozenset({running.principal.credential_id}), registry=False, everything=False)
    )
    deadline = time.monotonic() + 5
    while "could not be decided again" not in caplog.text and time.monotonic() < deadline:
        assert not await house.cut_within(0.1)
    assert "could not be decided again" in caplog.text

    house.fault = None
    assert await house.cut_within(1)
    await house.close()


async def test_a_call_that_cannot_be_looked_at_keeps_no_other_from_being_cut(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    broken = await house.begin_call()
    broken_task = house.task
    broken.principal = a_principal(expires_at=None)
    running = await house.begin_call()
    running.principal = a_principal(expires_at=utc_now())
    house.open_calls.start()

    assert await house.cut_within(1)
    assert not broken_task.done()
    assert "could not be looked at" in caplog.text
    broken_task.cancel()
    await house.close()


class DeafCaller:
    """A sink whose write has begun and does not end."""

    def __init__(self) -> None:
        self.writing_since_ns = time.perf_counter_ns()


async def test_a_call_whose_caller_does_not_read_is_ended_as_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    house = House(write_timeout_s=0.3)
    running = await house.begin_call()
    running.sink = DeafCaller()  # type: ignore[assignment]
    house.open_calls.start()

    assert not await house.cut_within(0.2)
    assert await house.cut_within(1)
    assert running.cut_by is not None
    assert running.cut_by.code is Code.CLIENT_GONE
    await house.close()


async def test_a_call_that_was_cut_and_cannot_tell_its_caller_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    house = House(write_timeout_s=0.3)
    running = await house.begin_call()
    first = house.task

    async def tell() -> None:
        await asyncio.wait([first])
        await asyncio.sleep(60)

    running.cut(Code.STOPPING)
    running.task = house.task = asyncio.ensure_future(tell())
    running.sink = DeafCaller()  # type: ignore[assignment]
    house.open_calls.start()

    assert await house.cut_within(1)
    assert running.cut_by is not None
    assert running.cut_by.code is Code.STOPPING
    await house.close()


async def test_no_call_is_older_than_its_time_outs_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    house = House(call_timeout_s=0.3)
    running = await house.begin_call()
    running.head = a_head(started_ns=time.perf_counter_ns())
    house.open_calls.start()

    assert not await house.cut_within(0.2)
    assert await house.cut_within(1)
    assert running.cut_by is not None
    assert running.cut_by.code is Code.UPSTREAM_TIMEOUT
    await house.close()


async def test_a_call_that_is_over_is_not_cut(house: House) -> None:
    running = await house.begin_call()
    running.leave()
    running.cut(Code.STOPPING)

    assert not await house.cut_within(0.1)
    await house.close()


async def test_a_flood_of_unknown_keys_from_its_address_keeps_no_call_alive(house: House) -> None:
    """Whoever holds a revoked key could otherwise go on with a stream by guessing keys beside it."""
    running = await house.begin_call()
    house.principal = None
    for number in range(int(BURST)):
        await house.identities.find(a_presented(f"guess-{number}"), peer=running.head.peer)
    house.change(
        Changes(frozenset({running.principal.credential_id}), registry=False, everything=False)
    )

    assert await house.cut_within(1)
    await house.close()


async def test_a_call_is_judged_by_the_grant_that_replaced_its_own(house: House) -> None:
    running = await house.begin_call()
    house.open_calls.start()
    assert house.principal is not None
    house.principal = a_principal(
        credential_id=house.principal.credential_id, grants={MODEL: (a_grant(),)}
    )
    running.principal = a_principal(
        credential_id=house.principal.credential_id, grants={MODEL: (a_grant(),)}
    )
    house.change(
        Changes(frozenset({running.principal.credential_id}), registry=False, everything=False)
    )

    assert not await house.cut_within(0.3)
    assert running.principal is house.principal
    await house.close()
