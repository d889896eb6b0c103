"""A call is decided on what is known when it is decided, not when it arrived."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from accounts.change_feed import Changes
from accounts.ways_in.presented import Presented
from proxy.errors import Code, Refusal
from proxy.identities import LOAD_TRIES, Identities
from proxy.journal.journal import Journal
from proxy.open_calls import OpenCalls
from proxy.pipeline import Pipeline
from proxy.principal import Principal
from proxy.record import Recorder
from proxy.route import Route
from tests.flows.answers import chat_body
from tests.proxy.principals import a_grant, a_head, a_principal, a_route

MODEL = uuid.UUID(int=1)


class Rows:
    """Stands where PostgreSQL does."""

    def __init__(self) -> None:
        self.route = a_route(model_id=MODEL)
        self.principal = a_principal(grants={MODEL: (a_grant(),)})
        self.on_routes: Callable[[], None] = lambda: None

    def load_principal(self, presented: Presented) -> Principal | None:
        return self.principal

    def load_routes(self) -> dict[str, Route]:
        self.on_routes()
        return {self.route.name: self.route}


class Limits:
    """Ends each call that was let in."""

    async def reserve(self, *args: object) -> None:
        raise Refusal(Code.LIMIT_REACHED)


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def pipeline(rows: Rows, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline that ends at its limits; what stands behind them is not reached."""
    identities = Identities(
        load_principal=rows.load_principal,
        load_routes=rows.load_routes,
        feed_age_s=lambda: 0.0,
        grace_s=60,
    )
    journal = Journal(tmp_path, segment_bytes=1 << 20, max_bytes=1 << 23, sync="never")
    journal.open()
    yield Pipeline(
        identities=identities,
        limiter=cast(Any, Limits()),
        recorder=Recorder(journal, call_log="none"),
        client=cast(Any, None),
        open_calls=OpenCalls(identities, body_timeout_s=60, write_timeout_s=60, call_timeout_s=600),
        timeouts=cast(Any, None),
        max_answer_bytes=1 << 20,
    )
    identities.close()
    journal.close()


async def answer(pipeline: Pipeline, *, meanwhile: Callable[[], None] = lambda: None) -> Code:
    """Make a call during whose body something happens; return how it was refused."""

    async def read_body(principal: Principal) -> bytes:
        meanwhile()
        return chat_body("chat")

    with pytest.raises(Refusal) as refused:
        await pipeline.answer(a_head(), read_body, cast(Any, None))
    assert not len(pipeline.open_calls)
    return refused.value.code


def withdraw_chat(rows: Rows, pipeline: Pipeline) -> None:
    key_id = rows.principal.credential_id
    rows.principal = a_principal(
        credential_id=key_id, scopes=frozenset({"embeddings"}), grants={MODEL: (a_grant(),)}
    )
    pipeline.identities.apply(Changes(frozenset({key_id}), registry=False, everything=False))


async def test_a_call_with_every_right_reaches_its_limits(pipeline: Pipeline) -> None:
    assert await answer(pipeline) is Code.LIMIT_REACHED


async def test_a_scope_withdrawn_while_the_body_arrives_counts(
    rows: Rows, pipeline: Pipeline
) -> None:
    await answer(pipeline)
    withdrawn = await answer(pipeline, meanwhile=lambda: withdraw_chat(rows, pipeline))

    assert withdrawn is Code.KIND_NOT_ALLOWED


async def test_a_scope_withdrawn_while_the_routes_are_loaded_counts(
    rows: Rows, pipeline: Pipeline
) -> None:
    def withdraw_once() -> None:
        rows.on_routes = lambda: None
        withdraw_chat(rows, pipeline)

    rows.on_routes = withdraw_once

    assert await answer(pipeline) is Code.KIND_NOT_ALLOWED


async def test_changes_that_never_pause_are_not_outwaited(rows: Rows, pipeline: Pipeline) -> None:
    loads = []

    def change() -> None:
        loads.append(1)
        pipeline.identities.apply(Changes(frozenset(), registry=False, everything=True))

    rows.on_routes = change

    assert await answer(pipeline) is Code.IDENTITY_UNAVAILABLE
    assert len(loads) <= LOAD_TRIES**2
