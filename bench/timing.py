"""Whether the time of a refusal tells what is wrong: keys at both doors, OAuth clients and tokens, and people at sign-in.

Every try comes from an address of its own, as tries are throttled by it, and shows something that was never shown before. The
kinds go in turns. Two runs of one kind say what medians differ by chance.

A sign-in is nearly all password hash, whose own time varies by more than anything beside it takes. So people are asked about
twice: at a gateway with a quick hash, as finely as the rest; and with the full one, a few times, which tells whether it is made
for everybody.
"""

import os
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from bench.administrator import Administrator, start_administrator
from bench.beginning import begin
from bench.noise import chance_of
from bench.proof import NotProven, Verdict
from bench.stack import start_gateway
from tests.flows.wire import Reply, connect, read_reply, receive_all, write_request

NAME = "timing"
PROMISE = (
    "How long a refusal takes tells nobody whether a key, a token, a client or a person exists."
)
PROMISED = 200
TRIES = int(os.environ.get("BENCH_TRIES", str(PROMISED)))
# With the full hash a try takes half a second of a core, and what is asked is whether one of them is missing.
TRIES_OF_FULL_HASH = max(1, TRIES // 10)
MOST_NOISE_S = 0.001
# Of the refusal's own time, for the full hash: a missing one is the whole of it.
MOST_NOISE_SHARE = 0.5
# A difference that is there is there again; what another process does to one measurement is not.
REPEATS = 3
# After this nothing is measured again. Without repeats it takes four minutes, and no question more than one.
REPEATS_UNTIL_S = 300.0
SETTLED_S = 1.5
WARM_UP = 5
QUICK_HASH = {"DJANGO_SETTINGS_MODULE": "bench.quick_hash_settings"}
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')
Times = dict[str, list[float]]


class Question(NamedTuple):
    """What is asked with each credential: the duty that makes them, and how one of them is sent.

    refusal: the status and a part of the body, by which each try is known for the refusal it is to be.
    most_noise: of the time that a refusal takes; None for a millisecond.
    """

    name: str
    duty: str
    write: Callable[[Any], bytes]
    refusal: tuple[int, bytes]
    port: int
    tries: int = TRIES
    most_noise: float | None = None
    facts: dict[str, object] = {}


class Outcome(NamedTuple):
    """The kinds that were told apart, the largest difference of any kind, what chance differs by, and what it may."""

    told: frozenset[str]
    worst_s: float
    noise_s: float
    most_noise_s: float
    asked: int = 1

    @property
    def is_blurred(self) -> bool:
        """Whether nothing can be seen, as chance differs by too much."""
        return self.noise_s > self.most_noise_s


def run() -> Verdict:
    """Ask each question until no kind is told apart, or a kind was so each time."""
    started = time.monotonic()
    with ExitStack() as stay:
        _, stack, _administrator = stay.enter_context(begin(NAME))
        janitor = stay.enter_context(
            start_administrator(stack.environment, str(stack.folder), duties="bench.timing_duties")
        )
        _, quick = stay.enter_context(start_gateway(stack, "quick-hash", extra=QUICK_HASH))
        address = urlsplit(stack.environment["LATCHKEY_BASE_URL"])
        assert address.port is not None
        questions = _questions(address.port, quick, address.netloc)
        until = started + REPEATS_UNTIL_S
        outcomes = {one.name: _ask_again(janitor, one, until=until) for one in questions}
    return _verdict(outcomes)


def _verdict(outcomes: dict[str, Outcome]) -> Verdict:
    figure = "; ".join(
        f"{name} {found.worst_s * 1e3:.2f} ms (chance {found.noise_s * 1e3:.2f} ms)"
        for name, found in outcomes.items()
    )
    told = [name for name, found in outcomes.items() if found.told]
    figure += f"; told apart: {', '.join(told) or 'none'}"
    if TRIES < PROMISED:
        raise NotProven(f"{figure}; fewer than {PROMISED} tries prove nothing.")
    if any(found.told and found.asked < REPEATS for found in outcomes.values()):
        raise NotProven(f"{figure}; there was no time left to measure it again.")
    if any(found.is_blurred for found in outcomes.values()):
        raise NotProven(f"{figure}; the machine was too busy to tell.")
    target = "medians within chance, which is under 1 ms (with the full hash: half of it)"
    return Verdict(figure, target, not told)


def _questions(port: int, quick: int, host: str) -> list[Question]:
    """What is asked. quick: the port of the gateway with the quick hash."""
    cookie, form_token = _open_sign_in(port, host)

    def call(text: str) -> bytes:
        headers = [("Authorization", f"Bearer {text}"), JSON]
        return write_request("POST", "/v1/chat/completions", b"{}", headers=headers, host=host)

    def manage(text: str) -> bytes:
        headers = [("Authorization", f"Bearer {text}")]
        return write_request("GET", "/api/v1/me", headers=headers, host=host)

    def ask_for_token(pair: Sequence[str]) -> bytes:
        form = {"grant_type": "client_credentials", "client_id": pair[0], "client_secret": pair[1]}
        body = urlencode(form).encode()
        return write_request("POST", "/oauth/token", body, headers=[FORM], host=host)

    def assert_for_token(pair: Sequence[str]) -> bytes:
        form = {"grant_type": "client_credentials", "client_id": pair[0]}
        form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": pair[1]}
        body = urlencode(form).encode()
        return write_request("POST", "/oauth/token", body, headers=[FORM], host=host)

    def sign_in(pair: Sequence[str]) -> bytes:
        form = {"csrfmiddlewaretoken": form_token, "username": pair[0], "password": pair[1]}
        headers = [FORM, ("Cookie", cookie)]
        body = urlencode(form).encode()
        return write_request("POST", "/sign-in/", body, headers=headers, host=host)

    invalid = (401, b'"invalid_credential"')
    people = Question(
        "people with the full hash",
        "make_refused_people",
        sign_in,
        (200, b'name="password"'),
        port,
        facts={"is_quick": False},
    )
    no_client = (401, b"invalid_client")
    return [
        Question("keys at the calls", "make_refused_keys", call, invalid, port),
        Question("OAuth tokens at the calls", "make_refused_tokens", call, invalid, port),
        Question("keys at the management API", "make_refused_keys", manage, invalid, port),
        Question("OAuth clients", "make_refused_clients", ask_for_token, no_client, port),
        Question(
            "OAuth clients with keys", "make_refused_assertions", assert_for_token, no_client, port
        ),
        people._replace(name="people", port=quick, facts={"is_quick": True}),
        people._replace(tries=TRIES_OF_FULL_HASH, most_noise=MOST_NOISE_SHARE),
    ]


def _open_sign_in(port: int, host: str) -> tuple[str, str]:
    """The cookie and the field of a form that was opened."""
    reply, _ = _send(port, write_request("GET", "/sign-in/", headers=[], host=host))
    found = _FORM_TOKEN.search(reply.body)
    cookies = reply.headers.get_all("Set-Cookie") or []
    if found is None or not cookies:
        raise NotProven(f"the page for signing in has no form: {reply.status}.")
    return "; ".join(one.split(";")[0] for one in cookies), found[1].decode()


def _ask_again(janitor: Administrator, question: Question, *, until: float) -> Outcome:
    """Ask until the answer is clear. A blurred one counts for nothing, whatever it says."""
    outcome = _ask(janitor, question)
    while _is_open(outcome) and time.monotonic() < until:
        again = _ask(janitor, question)
        if outcome.is_blurred:
            outcome = again
        elif not again.is_blurred:
            outcome = again._replace(told=outcome.told & again.told, asked=outcome.asked + 1)
    return outcome


def _is_open(outcome: Outcome) -> bool:
    return outcome.is_blurred or bool(outcome.told and outcome.asked < REPEATS)


def _ask(janitor: Administrator, question: Question) -> Outcome:
    began = time.monotonic()
    shown = janitor.ask(question.duty, count=question.tries + WARM_UP, **question.facts)
    # What was just made or ended is heard of by then.
    time.sleep(SETTLED_S)
    times = _refusal_times(question, shown)
    both = times["unknown"] + times["unknown again"]
    base, noise_s = median(both), chance_of(both)
    differences = {kind: median(some) - base for kind, some in times.items()}
    print(
        f"{question.name}: {base * 1e3:.2f} ms; "
        + ", ".join(f"{kind} {one * 1e3:+.3f} ms" for kind, one in differences.items())
        + f"; chance {noise_s * 1e3:.3f} ms ({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    share = question.most_noise
    return Outcome(
        told=frozenset(kind for kind, one in differences.items() if abs(one) > noise_s),
        worst_s=max(map(abs, differences.values())),
        noise_s=noise_s,
        most_noise_s=MOST_NOISE_S if share is None else share * base,
    )


def _refusal_times(question: Question, shown: dict[str, list[Any]]) -> Times:
    """Seconds until each was refused, the kinds in turn and in an order that changes."""
    times: Times = {kind: [] for kind in shown}
    for number in range(question.tries + WARM_UP):
        for kind in random.sample(list(shown), len(shown)):
            reply, took_s = _send(question.port, question.write(shown[kind][number]))
            status, words = question.refusal
            if reply.status != status or words not in reply.body:
                raise NotProven(
                    f"{question.name}, {kind}: {reply.status} {reply.body[:300]!r} is no refusal."
                )
            times[kind].append(took_s)
    return {kind: some[WARM_UP:] for kind, some in times.items()}


def _send(port: int, request: bytes) -> tuple[Reply, float]:
    with connect(port) as connection:
        began = time.perf_counter()
        connection.sendall(request)
        received = receive_all(connection)
        took_s = time.perf_counter() - began
    return read_reply(received), took_s
