"""A caller who does not read holds nothing of the gateway's for longer than the write time-out."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.answers import (
    CHAT,
    EMBEDDINGS,
    STREAM_HEAD,
    chat_body,
    chunk,
    delta,
    embeddings_body,
    whole,
)
from tests.flows.conftest import SETTINGS, Catalogue, wait_until_listed
from tests.flows.house import Caller, new_caller
from tests.flows.ledger import find_calls
from tests.flows.processes import RunningGateway, run_gateway
from tests.flows.scripted_upstream import ScriptedUpstream
from tests.flows.wire import write_request

pytestmark = pytest.mark.time_limit_s(90)

# More than the buffers of both ends' kernels hold.
LARGE_BYTES = 24 << 20
OWN = {
    "LATCHKEY_WRITE_TIMEOUT_S": "1",
    "LATCHKEY_MAX_ANSWER_BYTES": "64MiB",
    "LATCHKEY_DRAIN_S": "20",
}


@pytest.fixture(scope="module")
def strict(
    catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: object
) -> Iterator[RunningGateway]:
    """A gateway that waits a second for its readers, and is stopped by the last test."""
    with run_gateway(tmp_path_factory.mktemp("strict"), **(SETTINGS | OWN)) as gateway:
        yield gateway


@contextmanager
def deaf(caller: Caller, target: str, body: bytes) -> Iterator[socket.socket]:
    """Make a call and read nothing of its answer."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(20)
        connection.bind((caller.address, 0))
        connection.connect(("127.0.0.1", caller.port))
        connection.sendall(write_request("POST", target, body, headers=caller.headers()))
        yield connection


def large_embeddings() -> bytes:
    answer = {
        "object": "list",
        "model": "upstream-embed",
        "data": [{"index": 0, "embedding": "A" * LARGE_BYTES}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    return whole(json.dumps(answer).encode())


def read_what_remains(connection: socket.socket) -> int:
    """Read until the connection ends, however it ends; return the bytes."""
    total = 0
    try:
        while data := connection.recv(1 << 20):
            total += len(data)
    except ConnectionError:
        pass
    return total


def wait_for_refusal(gateway: RunningGateway, request_id: str) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in gateway.log().splitlines():
            if request_id in line and "A call was refused." in line:
                found: dict[str, object] = json.loads(line)
                return found
        time.sleep(0.1)
    raise AssertionError("The call was not given up.")


def test_a_large_answer_that_nobody_reads_is_given_up(
    committed: None, strict: RunningGateway, catalogue: Catalogue, scripted: ScriptedUpstream
) -> None:
    wait_until_listed(strict.port, catalogue.scripted_embeddings)
    script = scripted.play(large_embeddings())
    caller = new_caller(strict.port, catalogue.scripted_embeddings)
    body = embeddings_body(catalogue.scripted_embeddings.name, script.marker)
    with deaf(caller, EMBEDDINGS, body) as connection:
        (row,) = find_calls(caller.key.id, count=1)
        assert wait_for_refusal(strict, row.request_id)["code"] == "client_gone"
        assert read_what_remains(connection) < LARGE_BYTES

    # It was answered as far as the upstream goes, and is paid as it says.
    assert (row.status, row.input_tokens, row.usage_estimated) == ("answered", 5, False)


def test_a_large_answer_that_is_read_slowly_arrives_whole(
    committed: None, strict: RunningGateway, catalogue: Catalogue, scripted: ScriptedUpstream
) -> None:
    wait_until_listed(strict.port, catalogue.scripted_embeddings)
    script = scripted.play(large_embeddings())
    caller = new_caller(strict.port, catalogue.scripted_embeddings)
    body = embeddings_body(catalogue.scripted_embeddings.name, script.marker)
    total = 0
    with deaf(caller, EMBEDDINGS, body) as connection:
        while data := connection.recv(1 << 20):
            total += len(data)
            time.sleep(min(0.5, len(data) / (6 << 20)))

    assert total > LARGE_BYTES


def test_a_stream_that_nobody_reads_is_given_up_and_its_upstream_closed(
    committed: None, strict: RunningGateway, catalogue: Catalogue, scripted: ScriptedUpstream
) -> None:
    wait_until_listed(strict.port, catalogue.scripted_chat)
    piece = chunk(delta("x" * 65_536))
    script = scripted.play(STREAM_HEAD, *([piece] * (LARGE_BYTES // 65_536)))
    caller = new_caller(strict.port, catalogue.scripted_chat)
    body = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
    with deaf(caller, CHAT, body) as connection:
        (row,) = find_calls(caller.key.id, count=1)
        assert script.hung_up.wait(5)
        assert read_what_remains(connection) < LARGE_BYTES

    assert (row.status, row.usage_estimated) == ("client_gone", True)
    assert row.output_tokens > 0


def test_a_deaf_caller_does_not_keep_the_process_from_ending(
    committed: None, catalogue: Catalogue, scripted: ScriptedUpstream, own_folder: Path
) -> None:
    piece = chunk(delta("x" * 65_536))
    script = scripted.play(STREAM_HEAD, *([piece] * (LARGE_BYTES // 65_536)))
    with run_gateway(own_folder, **(SETTINGS | OWN)) as gateway:
        wait_until_listed(gateway.port, catalogue.scripted_chat)
        caller = new_caller(gateway.port, catalogue.scripted_chat)
        body = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
        with deaf(caller, CHAT, body):
            time.sleep(0.5)
            gateway.process.send_signal(signal.SIGTERM)
            gateway.process.wait(timeout=15)

    (row,) = find_calls(caller.key.id, count=1)
    assert row.status == "client_gone"
