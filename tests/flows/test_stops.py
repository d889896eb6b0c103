"""A process that is told to stop settles every call itself, however long its streams would go on."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.answers import CHAT, STREAM_HEAD, chat_body, chunk, delta
from tests.flows.conftest import SETTINGS, Catalogue, wait_until_listed
from tests.flows.house import Caller, new_caller
from tests.flows.ledger import find_calls
from tests.flows.processes import RunningGateway, run_gateway
from tests.flows.scripted_upstream import Ending, ScriptedUpstream
from tests.flows.wire import connect, read_reply, receive_all, write_request

pytestmark = pytest.mark.time_limit_s(90)


@contextmanager
def own_gateway(folder: Path, catalogue: Catalogue, **settings: str) -> Iterator[RunningGateway]:
    """A gateway of the test's own that lets its upstream pause for a minute."""
    patient = {"LATCHKEY_IDLE_TIMEOUT_S": "60", "LATCHKEY_FIRST_BYTE_TIMEOUT_S": "60"}
    with run_gateway(folder, **(SETTINGS | patient | settings)) as gateway:
        wait_until_listed(gateway.port, catalogue.scripted_chat)
        yield gateway


def begin(caller: Caller, body: bytes) -> bytes:
    return write_request("POST", CHAT, body, headers=caller.headers())


def test_streams_longer_than_the_drain_are_told_settled_and_shipped_and_the_process_ends(
    committed: None, catalogue: Catalogue, scripted: ScriptedUpstream, own_folder: Path
) -> None:
    text = "Good day, this goes on. "
    script = scripted.play(STREAM_HEAD, chunk(delta(text)), 60.0, ending=Ending.HANG)
    with own_gateway(own_folder, catalogue, LATCHKEY_DRAIN_S="1") as gateway:
        caller = new_caller(gateway.port, catalogue.scripted_chat)
        body = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
        with connect(gateway.port, address=caller.address) as connection:
            connection.sendall(begin(caller, body))
            received = b""
            while b"Good day" not in received:
                received += connection.recv(1 << 16)
            gateway.process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            received += receive_all(connection)
            cut_after_s = time.monotonic() - told
        gateway.process.wait(timeout=10)
        ended_after_s = time.monotonic() - told

    error = json.loads(read_reply(received).events()[-1])["error"]
    assert (error["code"], error["type"]) == ("stopping", "service_unavailable")
    assert 0.8 < cut_after_s < 4
    assert ended_after_s < 8
    assert gateway.process.returncode == 0
    (row,) = find_calls(caller.key.id, count=1)
    assert (row.status, row.code, row.usage_estimated) == ("failed", "stopping", True)
    assert row.input_tokens > 0
    assert row.output_tokens == len(text) // 4
    assert script.hung_up.wait(5)
    assert not list((own_folder / "journal").glob("*-*"))


def test_a_call_that_waits_for_its_upstream_is_refused_and_pays_for_its_prompt(
    committed: None, catalogue: Catalogue, scripted: ScriptedUpstream, own_folder: Path
) -> None:
    script = scripted.play(60.0, ending=Ending.HANG)
    with own_gateway(own_folder, catalogue, LATCHKEY_DRAIN_S="0.5") as gateway:
        caller = new_caller(gateway.port, catalogue.scripted_chat)
        body = chat_body(catalogue.scripted_chat.name, script.marker)
        with connect(gateway.port, address=caller.address) as connection:
            connection.sendall(begin(caller, body))
            while not script.requests:
                time.sleep(0.01)
            gateway.process.send_signal(signal.SIGTERM)
            reply = read_reply(receive_all(connection))
        gateway.process.wait(timeout=10)

    assert (reply.status, reply.code) == (503, "stopping")
    (row,) = find_calls(caller.key.id, count=1)
    assert (row.status, row.http_status, row.usage_estimated) == ("failed", 503, True)
    assert row.input_tokens > 0
    assert row.output_tokens == 0


def test_a_call_that_ends_within_the_drain_is_answered_whole(
    committed: None, catalogue: Catalogue, scripted: ScriptedUpstream, own_folder: Path
) -> None:
    script = scripted.play(
        STREAM_HEAD, chunk(delta("Good ")), 1.5, chunk(delta("day.")), chunk(b"data: [DONE]\n\n")
    )
    with own_gateway(own_folder, catalogue, LATCHKEY_DRAIN_S="10") as gateway:
        caller = new_caller(gateway.port, catalogue.scripted_chat)
        body = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
        with connect(gateway.port, address=caller.address) as connection:
            connection.sendall(begin(caller, body))
            received = connection.recv(1 << 16)
            gateway.process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            received += receive_all(connection)
        gateway.process.wait(timeout=10)
        ended_after_s = time.monotonic() - told

    assert read_reply(received).events()[-1] == "[DONE]"
    assert ended_after_s < 6
    (row,) = find_calls(caller.key.id, count=1)
    assert row.status == "answered"


def test_a_request_that_is_whole_only_after_the_signal_is_refused(
    committed: None, catalogue: Catalogue, scripted: ScriptedUpstream, own_folder: Path
) -> None:
    script = scripted.play(STREAM_HEAD, chunk(delta("Good ")), 60.0, ending=Ending.HANG)
    with own_gateway(own_folder, catalogue, LATCHKEY_DRAIN_S="3") as gateway:
        caller = new_caller(gateway.port, catalogue.scripted_chat)
        body = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
        request = begin(caller, body)
        with (
            connect(gateway.port, address=caller.address) as running,
            connect(gateway.port, address=caller.address) as late,
        ):
            running.sendall(request)
            running.recv(1 << 16)
            late.sendall(request[:40])
            time.sleep(0.3)
            gateway.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            late.sendall(request[40:])
            reply = read_reply(receive_all(late))
        gateway.process.wait(timeout=15)

    assert (reply.status, reply.code) == (503, "stopping")
    find_calls(caller.key.id, count=1)
