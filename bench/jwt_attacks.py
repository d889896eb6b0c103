"""Every forged token of the tests, sent over HTTP to a running gateway: by each carrier, at both doors.

Each has to be refused as an unknown credential is, to the letter. What HTTP itself carries to nobody (a null, a header beyond all
bounds) is refused before anything reads it.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from bench.administrator import Administrator, start_administrator
from bench.beginning import begin
from bench.processes import Measured, list_tree
from bench.proof import NotProven, Verdict
from bench.stack import start_gateway
from tests.flows.wire import Reply, exchange, read_reply, write_request

NAME = "jwt-attacks"
PROMISE = "Forged tokens are all refused as an unknown credential is, at both doors, and leave nothing but refusals."
# The tables of the tests have more; fewer would say that they were not sent.
LEAST_FORGED = 120
UNKNOWN = "lk_nothing"
HEADER_MAX = 8000
UNREADABLE = (400, 431)
HOST = "127.0.0.1"
LOGGED_WITHOUT_FAULT = frozenset({"debug", "info", "warning"})
_NUMBER_OF_REQUEST = re.compile(rb'"(request_id|instance)": ?"[^"]*"')
# The calls believe our own signature without a look-up once its caller is known, whatever id it bears: so this one is for the
# door that asks for the row. No attacker can make it.
_FOR_MANAGEMENT_ALONE = "signed by us: another id"


class Way(NamedTuple):
    """A door, and the header that carries the credential to it."""

    path: str
    header: str
    before: str = ""

    def ask(self, port: int, text: str) -> Reply:
        headers = [(self.header, self.before + text)]
        return read_reply(
            exchange(port, write_request("GET", self.path, headers=headers, host=HOST))
        )


CALLS = Way("/v1/models", "Authorization", "Bearer ")
MANAGEMENT = Way("/api/v1/me", "Authorization", "Bearer ")
WAYS = (CALLS, Way("/v1/models", "x-api-key"), MANAGEMENT)


def run() -> Verdict:
    """Send all tables, with the genuine token before and after."""
    with (
        begin(NAME) as (_, stack, _administrator),
        start_administrator(
            stack.environment, str(stack.folder), duties="bench.attack_duties"
        ) as janitor,
        start_gateway(stack, NAME) as (process, port),
    ):
        assault = _Assault(port)
        processes = set(list_tree(process.pid))
        own = janitor.ask("forge_oauth", base=f"http://{HOST}:{port}")
        assault.send(own["genuine"], own["forged"], opened=(CALLS, MANAGEMENT))
        foreign = janitor.ask("forge_workload")
        assault.send(foreign["genuine"], foreign["forged"], opened=(CALLS,))
        assault.send_each(_signed_by_us(janitor, own["genuine"]))
        again = janitor.ask("sign_changed", genuine=own["genuine"], name="")
        assault.require_open(again, (CALLS, MANAGEMENT))
        lost = processes - set(list_tree(process.pid))
        secrets = [own["genuine"], foreign["genuine"], *assault.texts]
        faults = _faults_in(process, secrets) + [f"process {pid} is gone" for pid in lost]
    for fault in (*assault.faults, *faults):
        print(fault)
    figure = (
        f"{len(assault.texts)} forged tokens sent {assault.sent} times, {len(assault.faults)} not refused alike, "
        f"{len(faults)} faults in the log and the processes"
    )
    if len(assault.texts) < LEAST_FORGED:
        raise NotProven(f"{figure}; the tests' tables hold at least {LEAST_FORGED}.")
    return Verdict(figure, "0, 0", not assault.faults and not faults)


def _signed_by_us(janitor: Administrator, genuine: str) -> Iterator[tuple[str, str]]:
    """Each change of the claims, made when its turn comes: one of them at a time is stored as the token."""
    for name in janitor.ask("list_changes"):
        yield f"signed by us: {name}", janitor.ask("sign_changed", genuine=genuine, name=name)


class _Assault:
    def __init__(self, port: int) -> None:
        self._port = port
        self._unknown = {way: _told(way.ask(port, UNKNOWN)) for way in WAYS}
        self.faults: list[str] = []
        self.texts: list[str] = []
        self.sent = 0

    def send(self, genuine: str, forged: dict[str, str], *, opened: tuple[Way, ...]) -> None:
        """Send a table; the token that it was made of is let in before and after."""
        self.require_open(genuine, opened)
        self.send_each(iter(forged.items()))
        self.require_open(genuine, opened)

    def send_each(self, forged: Iterator[tuple[str, str]]) -> None:
        for name, text in forged:
            self.texts.append(text)
            for way in WAYS if name != _FOR_MANAGEMENT_ALONE else (MANAGEMENT,):
                self.sent += 1
                reply = way.ask(self._port, text)
                if not self._is_refused(way, text, reply):
                    self.faults.append(
                        f"{way.path} by {way.header}: {name}: {reply.status} {reply.body[:200]!r}"
                    )

    def require_open(self, genuine: str, opened: tuple[Way, ...]) -> None:
        """Raises: NotProven."""
        for way in opened:
            reply = way.ask(self._port, genuine)
            if reply.status != 200:
                raise NotProven(f"{way.path} refused a genuine token: {reply.body[:300]!r}")

    def _is_refused(self, way: Way, text: str, reply: Reply) -> bool:
        if not text.isprintable() or len(text) > HEADER_MAX:
            return reply.status in UNREADABLE or _told(reply) == self._unknown[way]
        return _told(reply) == self._unknown[way]


def _told(reply: Reply) -> tuple[int, bytes]:
    """What the caller learns: all but the number of the request."""
    return reply.status, _NUMBER_OF_REQUEST.sub(b"", reply.body)


def _faults_in(process: Measured, secrets: list[str]) -> list[str]:
    """What the gateway's log says besides refusals, and each token of which it holds a signature."""
    log = process.log.read_text()
    faults = [f"log: {line[:300]}" for line in log.splitlines() if not _is_quiet(line)]
    signatures = {text.rpartition(".")[2] for text in secrets}
    return faults + [
        f"log: holds the signature of a token, {one[:6]}…"
        for one in signatures
        if len(one) > 40 and one in log
    ]


def _is_quiet(line: str) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return str(said.get("level", "")).lower() in LOGGED_WITHOUT_FAULT and "exception" not in said
