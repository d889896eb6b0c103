"""One real gateway for each worker, with a demonstration upstream and a scripted one behind it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from openai import OpenAI
from pytest_django import DjangoDbBlocker

from accounts.audit import COMMAND
from models_registry.models import AiModel, ModelKind, Provider
from models_registry.writes.providers import add_provider
from tests.flows.house import Caller, new_caller, new_model, unique
from tests.flows.processes import (
    UPSTREAM_KEY,
    RunningGateway,
    RunningUpstream,
    run_gateway,
    run_upstream,
)
from tests.flows.scripted_upstream import ScriptedUpstream

FIRST_BYTE_S = 2.0
IDLE_S = 2.0
MAX_BODY_BYTES = 1 << 20
SCRIPTED_KEY = "sk-scripted-Yt5Hn8Bq3Vw6Xe1Gf0Js"
SETTINGS = {
    "LATCHKEY_CONNECT_TIMEOUT_S": "1",
    "LATCHKEY_FIRST_BYTE_TIMEOUT_S": str(FIRST_BYTE_S),
    "LATCHKEY_IDLE_TIMEOUT_S": str(IDLE_S),
    "LATCHKEY_TOTAL_TIMEOUT_S": "30",
    "LATCHKEY_BODY_TIMEOUT_S": "2",
    "LATCHKEY_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    "LATCHKEY_BODY_ROOM_BYTES": "8MiB",
    "LATCHKEY_MAX_ANSWER_BYTES": "8MiB",
    "LATCHKEY_CALL_LOG": "all",
    "LATCHKEY_LOG_LEVEL": "DEBUG",
}


@dataclass(frozen=True)
class Catalogue:
    """What every test of a worker may call; nobody changes these."""

    demo: Provider
    scripted: Provider
    chat: AiModel
    chat_drain: AiModel
    embeddings: AiModel
    scripted_chat: AiModel
    scripted_drain: AiModel
    scripted_embeddings: AiModel

    def models(self) -> list[AiModel]:
        """Every model."""
        return [value for value in vars(self).values() if isinstance(value, AiModel)]


@pytest.fixture(scope="session")
def upstream() -> Iterator[RunningUpstream]:
    """The demonstration upstream."""
    with run_upstream() as running:
        yield running


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedUpstream]:
    """The upstream that says what a test wrote."""
    with ScriptedUpstream().listening() as listening:
        yield listening


@pytest.fixture(scope="session")
def gateway(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """The server, with short time-outs and everything it can say in its log."""
    with run_gateway(tmp_path_factory.mktemp("gateway"), **SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def catalogue(
    gateway: RunningGateway,
    upstream: RunningUpstream,
    scripted: ScriptedUpstream,
    django_db_blocker: DjangoDbBlocker,
) -> Catalogue:
    """Providers and models, known to the gateway."""
    with django_db_blocker.unblock():
        demo = add_provider(
            unique("demo"),
            base_url=upstream.base_url,
            credential=UPSTREAM_KEY,
            is_demonstration=True,
            actor=COMMAND,
        )
        written = add_provider(
            unique("scripted"), base_url=scripted.base_url, credential=SCRIPTED_KEY, actor=COMMAND
        )
        made = Catalogue(
            demo=demo,
            scripted=written,
            chat=new_model(demo, "demo-chat"),
            chat_drain=new_model(demo, "demo-chat", hang_up="drain"),
            embeddings=new_model(
                demo, "demo-embed", kind=ModelKind.EMBEDDINGS, max_output_tokens=0
            ),
            scripted_chat=new_model(written, "upstream-chat"),
            scripted_drain=new_model(written, "upstream-chat", hang_up="drain"),
            scripted_embeddings=new_model(
                written, "upstream-embed", kind=ModelKind.EMBEDDINGS, max_output_tokens=0
            ),
        )
        wait_until_listed(gateway.port, *made.models())
        connections.close_all()
    return made


def wait_until_listed(port: int, *models: AiModel) -> None:
    """Wait until the gateway has heard of the models."""
    caller = new_caller(port, *models)
    wanted = {model.name for model in models}
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = caller.send("GET", "/v1/models")
        if wanted <= {entry["id"] for entry in listed.json().get("data", [])}:
            return
        time.sleep(0.05)
    raise AssertionError("The gateway does not list the new models.")


@pytest.fixture
def committed(catalogue: Catalogue, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test commit: the gateway has to see its rows."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


CallerMaker = Callable[..., Caller]


@pytest.fixture
def new_caller_of(committed: None, gateway: RunningGateway) -> CallerMaker:
    """Makes a caller of the gateway who is granted the models given."""

    def make(*models: AiModel, **facts: Any) -> Caller:
        return new_caller(gateway.port, *models, **facts)

    return make


OpenClient = Callable[[Caller], OpenAI]


@pytest.fixture
def open_client(gateway: RunningGateway) -> Iterator[OpenClient]:
    """Opens the unmodified OpenAI client for a caller."""
    with ExitStack() as stack:

        def open_one(caller: Caller) -> OpenAI:
            return stack.enter_context(
                OpenAI(base_url=gateway.base_url, api_key=caller.text, max_retries=0, timeout=20)
            )

        yield open_one


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A folder for a gateway of the test's own."""
    return tmp_path
