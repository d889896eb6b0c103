"""What the other ways in cost a warm call beside an API key, on one core, in turns; and a fresh token's signature apart.

The same service account calls by its key, by an access token of its client and by its platform's JWT. The key stands in each
round twice: what its two runs differ by is what any two runs differ by.
"""

import os
import random
from statistics import median
from typing import NamedTuple

from bench.administrator import lead_calls_to, start_administrator
from bench.beginning import begin
from bench.fixed_upstream import start_fixed_upstream
from bench.load import Sample, Target, measure, require_program, warm_up
from bench.oauth_http import fetch_machine_token
from bench.proof import NotProven, Verdict
from bench.stack import start_gateway

NAME = "ways-in-cost"
PROMISE = "An access token or a workload's JWT adds at most 0.1 ms of CPU to a warm call by a key."
MOST_MS = 0.1
MOST_PER_MINUTE = 2_000_000_000
PROMISED = 10
ROUNDS = int(os.environ.get("BENCH_ROUNDS", str(PROMISED)))
DURATION_S = 3.0
GATEWAY_CORE, LOAD_CORE = 0, 1
FRESH_TOKENS = 2000
DISTURBED_SHARE, DISTURBED_MAX = 0.1, 0.25
KEY, AGAIN, OAUTH, WORKLOAD = "API key", "API key again", "OAuth access token", "workload JWT"
# A client and a rule have the defaults for limits, which would end the calls within a second.
OPEN = {
    "LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE": str(MOST_PER_MINUTE),
    "LATCHKEY_DEFAULT_TOKENS_PER_MINUTE": str(MOST_PER_MINUTE),
}


class Credentials(NamedTuple):
    """What stands behind the header of each way in."""

    key: str
    oauth_token: str
    workload_token: str

    def texts(self) -> dict[str, str]:
        return {
            KEY: self.key,
            AGAIN: self.key,
            OAUTH: self.oauth_token,
            WORKLOAD: self.workload_token,
        }


def run() -> Verdict:
    """Call in turns by each way, then verify fresh tokens in one process."""
    require_program("wrk", "wrk")
    with (
        begin(NAME, core=LOAD_CORE) as (folder, stack, administrator),
        start_administrator(
            stack.environment, str(stack.folder), duties="bench.ways_in_duties"
        ) as janitor,
        start_fixed_upstream(folder, core=LOAD_CORE) as upstream,
    ):
        lead_calls_to(administrator, upstream.port, key=stack.api_key)
        made = janitor.ask("make_ways_in", like=stack.api_key)
        with start_gateway(stack, NAME, core=GATEWAY_CORE, extra=OPEN) as (process, port):
            oauth_token = fetch_machine_token(
                port, client_id=made["client_id"], client_secret=made["client_secret"]
            )
            credentials = Credentials(stack.api_key, oauth_token, made["workload_token"])
            targets = {
                name: Target(
                    name,
                    f"http://127.0.0.1:{port}/v1/chat/completions",
                    f"Bearer {text}",
                    stack.chat_model,
                    process,
                    GATEWAY_CORE,
                )
                for name, text in credentials.texts().items()
            }
            rounds = _measure(targets)
        fresh = janitor.ask("time_fresh_tokens", oauth_token=oauth_token, count=FRESH_TOKENS)
    return _judge(rounds, fresh)


def _measure(targets: dict[str, Target]) -> list[dict[str, Sample]]:
    for target in targets.values():
        warm_up(target)
        measure(target, duration_s=1, core=LOAD_CORE)
    rounds = []
    for number in range(ROUNDS):
        order = random.sample(list(targets), len(targets))
        seen = {
            name: measure(targets[name], duration_s=DURATION_S, core=LOAD_CORE) for name in order
        }
        rounds.append(seen)
        figures = ", ".join(f"{name} {seen[name].cpu_ms_per_call:.4f}" for name in targets)
        print(f"round {number + 1}, ms of CPU a call: {figures}", flush=True)
    return rounds


def _judge(rounds: list[dict[str, Sample]], fresh: dict[str, float]) -> Verdict:
    samples = [sample for seen in rounds for sample in seen.values()]
    disturbed = sum(sample.foreign_share > DISTURBED_SHARE for sample in samples)
    apart = ", ".join(f"{name} {us:.0f} µs" for name, us in fresh.items())
    print(
        f"a fresh token read and verified, in process: {apart}; {disturbed} of {len(samples)} runs disturbed"
    )
    noise = median(abs(_cost(seen, KEY) - _cost(seen, AGAIN)) for seen in rounds)
    added = {name: median(_added(seen, name) for seen in rounds) for name in (OAUTH, WORKLOAD)}
    figure = ", ".join(f"{name} {ms:+.4f} ms" for name, ms in added.items())
    figure += f" beside a key's {median(_cost(seen, KEY) for seen in rounds):.3f} ms (a key beside itself: {noise:.4f} ms)"
    if ROUNDS < PROMISED:
        raise NotProven(f"{figure}; fewer than {PROMISED} rounds prove nothing.")
    if disturbed > DISTURBED_MAX * len(samples) or noise > MOST_MS / 2:
        raise NotProven(f"{figure}; the machine was too busy to tell.")
    return Verdict(figure, f"at most +{MOST_MS} ms each", max(added.values()) <= MOST_MS)


def _cost(seen: dict[str, Sample], name: str) -> float:
    return seen[name].cpu_ms_per_call


def _added(seen: dict[str, Sample], name: str) -> float:
    return _cost(seen, name) - (_cost(seen, KEY) + _cost(seen, AGAIN)) / 2
