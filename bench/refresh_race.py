"""Fifty uses of one refresh token at once, half of them at each of two processes: one is answered, and the replay ends them all."""

import asyncio
import os
from collections import Counter
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench.administrator import Administrator, start_administrator
from bench.beginning import begin
from bench.client import Answer, exchange, write_request
from bench.proof import NotProven, Verdict
from bench.stack import start_gateway
from tests.flows.wire import write_request as write_form

NAME = "refresh-race"
PROMISE = "Of 50 parallel refreshes of one token at two processes one wins, and the replays end the whole family."
AT_ONCE = 50
PROCESSES = 2
PROMISED = 20
ROUNDS = int(os.environ.get("BENCH_ROUNDS", str(PROMISED)))
REFUSED_WITHIN_S = 1.0
TIMEOUT_S = 60.0
FORM = [("Content-Type", "application/x-www-form-urlencoded")]


class Round(NamedTuple):
    """What became of one family: how often the race was won, and how many of its tokens were still good afterwards."""

    winners: int
    alive: int


def run() -> Verdict:
    """Race over one family after another."""
    with (
        begin(NAME) as (_, stack, _administrator),
        start_administrator(
            stack.environment, str(stack.folder), duties="bench.oauth_duties"
        ) as janitor,
        ExitStack() as running,
    ):
        ports = [
            running.enter_context(start_gateway(stack, f"r{number}"))[1]
            for number in range(PROCESSES)
        ]
        prepared = janitor.ask("prepare_clients")
        rounds = [
            asyncio.run(_race(_begin_family(janitor, prepared, ports[0]), ports))
            for _ in range(ROUNDS)
        ]
    winners = Counter(one.winners for one in rounds)
    alive = sum(one.alive for one in rounds)
    figure = f"{winners[1]} of {ROUNDS} races of {AT_ONCE} had one winner, {alive} tokens outlived their family"
    if ROUNDS < PROMISED:
        raise NotProven(f"{figure}; fewer than {PROMISED} races prove nothing.")
    return Verdict(figure, "all, 0", winners[1] == ROUNDS and not alive)


def _begin_family(janitor: Administrator, prepared: dict[str, Any], port: int) -> dict[str, str]:
    base = f"http://127.0.0.1:{port}"
    family: dict[str, str] = janitor.ask("begin_family", base=base, prepared=prepared)
    return family


async def _race(family: dict[str, str], ports: list[int]) -> Round:
    """Race, then see what is left: of the first pair, and of whatever the race gave out."""
    first = family["access_token"]
    for port in ports:
        if (await _call(port, first)).status != 200:
            raise NotProven("a new access token was not let in.")
    request = _write_refresh(family["client_id"], family["refresh_token"])
    answers = await asyncio.gather(
        *(
            exchange(ports[turn % PROCESSES], request, timeout_s=TIMEOUT_S)
            for turn in range(AT_ONCE)
        )
    )
    statuses = Counter(answer.status for answer in answers)
    if not set(statuses) <= {200, 400}:
        raise NotProven(f"refreshes were answered {dict(statuses)}.")
    given = [_read_tokens(answer) for answer in answers if answer.status == 200]
    await asyncio.sleep(REFUSED_WITHIN_S)
    alive = 0
    for text in (first, *(tokens["access_token"] for tokens in given)):
        for port in ports:
            alive += (await _call(port, text)).status != 401
    for tokens in given:
        again = _write_refresh(family["client_id"], tokens["refresh_token"])
        alive += (await exchange(ports[0], again, timeout_s=TIMEOUT_S)).status != 400
    print(f"{dict(statuses)}, {alive} tokens alive", flush=True)
    return Round(statuses[200], alive)


def _write_refresh(client_id: str, text: str) -> bytes:
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": text}
    return write_form(
        "POST", "/oauth/token", urlencode(form).encode(), headers=FORM, host="127.0.0.1"
    )


def _read_tokens(answer: Answer) -> dict[str, str]:
    return {name: str(value) for name, value in answer.json().items()}


async def _call(port: int, text: str) -> Answer:
    return await exchange(port, write_request("GET", "/v1/models", key=text), timeout_s=TIMEOUT_S)
