"""Whether the time of a refusal tells what is wrong: keys at both doors, OAuth clients, and people at sign-in.

Every try comes from an address of its own, as tries are throttled by it, and shows something that was never shown before. The
kinds go in turns. Two runs of one kind say what medians differ by chance.
"""

import os
import random
import re
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from bench.administrator import Administrator, start_administrator
from bench.beginning import begin
from bench.noise import chance_of
from bench.proof import NotProven, Verdict
from tests.flows.wire import Reply, connect, read_reply, receive_all, write_request

NAME = "timing"
PROMISE = "How long a refusal takes tells nobody whether a key, a client or a person exists."
PROMISED = 200
TRIES = int(os.environ.get("BENCH_TRIES", str(PROMISED)))
MOST_NOISE_S = 0.001
# A difference that is there is there again; what another process does to one measurement is not.
REPEATS = 3
SETTLED_S = 1.5
WARM_UP = 10
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
_FORM_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')
Times = dict[str, list[float]]


class Question(NamedTuple):
    """What is asked with each credential: the duty that makes them, and how one of them is sent.

    refusal: the status and a part of the body, by which each try is known for the refusal it is to be.
    """

    name: str
    duty: str
    write: Callable[[Any], bytes]
    refusal: tuple[int, bytes]


class Outcome(NamedTuple):
    """The kinds that were told apart, the largest difference of any kind, and what chance differs by."""

    told: frozenset[str]
    worst_s: float
    noise_s: float


def run() -> Verdict:
    """Ask each question until no kind is told apart, or a kind was so each time."""
    with (
        begin(NAME) as (_, stack, _administrator),
        start_administrator(
            stack.environment, str(stack.folder), duties="bench.timing_duties"
        ) as janitor,
    ):
        address = urlsplit(stack.environment["LATCHKEY_BASE_URL"])
        assert address.port is not None
        questions = _questions(address.port, address.netloc)
        outcomes = {one.name: _ask_again(janitor, address.port, one) for one in questions}
    figure = "; ".join(
        f"{name} {found.worst_s * 1e3:.2f} ms (chance {found.noise_s * 1e3:.2f} ms)"
        for name, found in outcomes.items()
    )
    told = [name for name, found in outcomes.items() if found.told]
    figure += f"; told apart: {', '.join(told) or 'none'}"
    if TRIES < PROMISED:
        raise NotProven(f"{figure}; fewer than {PROMISED} tries prove nothing.")
    if not told and max(found.noise_s for found in outcomes.values()) > MOST_NOISE_S:
        raise NotProven(f"{figure}; the machine was too busy to tell a millisecond.")
    return Verdict(figure, "medians within chance, which is under 1 ms", not told)


def _questions(port: int, host: str) -> list[Question]:
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

    def sign_in(pair: Sequence[str]) -> bytes:
        form = {"csrfmiddlewaretoken": form_token, "username": pair[0], "password": pair[1]}
        headers = [FORM, ("Cookie", cookie)]
        body = urlencode(form).encode()
        return write_request("POST", "/sign-in/", body, headers=headers, host=host)

    invalid = (401, b'"invalid_credential"')
    return [
        Question("keys at the calls", "make_refused_keys", call, invalid),
        Question("keys at the management API", "make_refused_keys", manage, invalid),
        Question("OAuth clients", "make_refused_clients", ask_for_token, (401, b"invalid_client")),
        Question("people", "make_refused_people", sign_in, (200, b'name="password"')),
    ]


def _open_sign_in(port: int, host: str) -> tuple[str, str]:
    """The cookie and the field of a form that was opened."""
    reply, _ = _send(port, write_request("GET", "/sign-in/", headers=[], host=host))
    found = _FORM_TOKEN.search(reply.body)
    cookies = reply.headers.get_all("Set-Cookie") or []
    if found is None or not cookies:
        raise NotProven(f"the page for signing in has no form: {reply.status}.")
    return "; ".join(one.split(";")[0] for one in cookies), found[1].decode()


def _ask_again(janitor: Administrator, port: int, question: Question) -> Outcome:
    outcome = _ask(janitor, port, question)
    for _ in range(REPEATS - 1):
        if not outcome.told:
            break
        again = _ask(janitor, port, question)
        outcome = again._replace(told=outcome.told & again.told)
    return outcome


def _ask(janitor: Administrator, port: int, question: Question) -> Outcome:
    shown = janitor.ask(question.duty, count=TRIES + WARM_UP)
    # What was just made or ended is heard of by then.
    time.sleep(SETTLED_S)
    times = _refusal_times(port, question, shown)
    both = times["unknown"] + times["unknown again"]
    base, noise_s = median(both), chance_of(both)
    differences = {kind: median(some) - base for kind, some in times.items()}
    print(
        f"{question.name}: {base * 1e3:.2f} ms; "
        + ", ".join(f"{kind} {one * 1e3:+.3f} ms" for kind, one in differences.items())
        + f"; chance {noise_s * 1e3:.3f} ms",
        flush=True,
    )
    worst_s = max(map(abs, differences.values()))
    told = {kind for kind, one in differences.items() if abs(one) > noise_s}
    return Outcome(frozenset(told), worst_s, noise_s)


def _refusal_times(port: int, question: Question, shown: dict[str, list[Any]]) -> Times:
    """Seconds until each was refused, the kinds in turn and in an order that changes."""
    times: Times = {kind: [] for kind in shown}
    for number in range(TRIES + WARM_UP):
        for kind in random.sample(list(shown), len(shown)):
            reply, took_s = _send(port, question.write(shown[kind][number]))
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
