"""Calls of a hundred keys in turns where there are a hundred, ten thousand and a million: a Latchkey for each."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from bench.administrator import lead_calls_to, start_administrator
from bench.calling_keys import make_calling_keys
from bench.load import Load, Target, measure, warm_up
from bench.ourselves import start_governed
from bench.rivals.gateway import Place
from bench.stack import start_stack

# A key's first call looks it up, and look-ups of one caller are slowed down.
FIRST_CALLS_S = 4.0


class House(NamedTuple):
    """A Latchkey with so many keys, and how it is called."""

    key_count: int
    target: Target
    load: Load


def start_houses(counts: Sequence[int], place: Place, running: ExitStack) -> list[House]:
    """Start a Latchkey with each of these numbers of keys, and write down which of them call."""
    return [_start_house(count, place, running) for count in counts]


def _start_house(count: int, place: Place, running: ExitStack) -> House:
    print(f"making {count:,} keys", flush=True)
    folder = place.folder / f"keys-{count}"
    stack = running.enter_context(start_stack(folder, core=place.load_core))
    administrator = running.enter_context(start_administrator(stack.environment, str(stack.folder)))
    lead_calls_to(administrator, place.upstream, key=stack.api_key)
    calling = make_calling_keys(folder, stack, administrator)
    administrator.ask("make_keys", like=stack.api_key, count=count)
    target = running.enter_context(start_governed(stack, place))
    warm_up(target)
    load = Load(keys=calling)
    measure(target, duration_s=FIRST_CALLS_S, core=place.load_core, load=load)
    return House(count, target, load)
