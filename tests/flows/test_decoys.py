"""A decoy is refused like a key that nobody issued, at both doors, and its use is noted with address and agent."""

import time

from accounts.audit import COMMAND
from accounts.credential import make_credential
from accounts.models import DecoyKey, DecoyUse
from accounts.writes.decoys import end_decoy, issue_decoy
from proxy.models import Call
from tests.flows.answers import CHAT, chat_body
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.wire import Reply, fresh_address

AGENT = "python-requests/2.32"
HEARD_S = 1.0
NOTED_S = 5.0


def ask(
    caller: Caller, text: str, *, door: str = CHAT, model: str = "x", address: str = ""
) -> Reply:
    headers = [
        ("Authorization", f"Bearer {text}"),
        ("Content-Type", "application/json"),
        ("User-Agent", AGENT),
    ]
    method, body = ("POST", chat_body(model)) if door == CHAT else ("GET", b"")
    stranger = Caller(
        caller.key, text, caller.team, caller.holder, caller.port, address or fresh_address()
    )
    return stranger.send(method, door, body, headers=headers)


def shown(reply: Reply) -> tuple[int, set[str], object]:
    """What an answer says, without the name that each request has of its own."""
    body = reply.json() | {"instance": ""}
    return reply.status, {name.lower() for name in reply.headers}, body


def uses_of(decoy: DecoyKey, count: int) -> list[DecoyUse]:
    deadline = time.monotonic() + NOTED_S
    while True:
        found = list(decoy.uses.order_by("first_at"))
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_decoy_is_refused_like_an_unknown_key_and_its_use_is_noted_by_address(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    issued = issue_decoy(name="A wiki page", actor=COMMAND)
    time.sleep(HEARD_S)
    addresses = {CHAT: fresh_address(), "/api/v1/me": fresh_address()}
    calls = Call.objects.count()
    for door, address in addresses.items():
        told = ask(caller, issued.text, door=door, model=catalogue.chat.name, address=address)
        unknown = ask(caller, make_credential().text, door=door, model=catalogue.chat.name)
        assert told.status == 401
        assert shown(told) == shown(unknown)
        # Remembered as unknown by now.
        ask(caller, issued.text, door=door, model=catalogue.chat.name, address=address)
    found = uses_of(issued.decoy, 2)
    assert {one.peer for one in found} == set(addresses.values())
    assert {one.door for one in found} == {"calls", "management"}
    assert {one.user_agent for one in found} == {AGENT}
    assert Call.objects.count() == calls
    deadline = time.monotonic() + NOTED_S
    while {one.times for one in uses_of(issued.decoy, 2)} != {2} and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {one.times for one in uses_of(issued.decoy, 2)} == {2}


def test_wrong_secret_of_a_decoy_and_an_ended_decoy_are_noted_by_nobody(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    ended, wrong, used = (issue_decoy(name="A page", actor=COMMAND) for _ in range(3))
    end_decoy(ended.decoy, actor=COMMAND)
    time.sleep(HEARD_S)
    ask(caller, ended.text)
    ask(caller, make_credential(wrong.decoy.public_id).text)
    ask(caller, used.text)
    assert len(uses_of(used.decoy, 1)) == 1
    assert not DecoyUse.objects.filter(decoy__in=[ended.decoy, wrong.decoy]).exists()
