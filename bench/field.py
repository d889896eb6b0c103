"""All that can be started to be measured side by side, and why the rest cannot."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import NamedTuple

from bench.load import Target, warm_up
from bench.ourselves import GOVERNED, UNGOVERNED, start_governed, start_ungoverned
from bench.proof import NotProven
from bench.rivals import envoy, litellm, mlflow, portkey
from bench.rivals.gateway import Place
from bench.rivals.nginx import Check, start_nginx
from bench.stack import Stack

Starter = Callable[[Place], AbstractContextManager[Target]]
REST_TIMEOUT_S = 60.0
FLOOR = Check.TRAVELS.value
RIVALS: dict[str, Starter] = {
    **{check.value: partial(start_nginx, check=check) for check in Check},
    envoy.NAME: envoy.start_envoy,
    litellm.NAME: litellm.start_litellm,
    portkey.NAME: portkey.start_portkey,
    mlflow.NAME: mlflow.start_mlflow,
}


class Field(NamedTuple):
    """What was started and answers as it should, and by name why others were not."""

    targets: list[Target]
    missing: dict[str, str]


def list_starters(stack: Stack) -> dict[str, Starter]:
    """Every rival, then Latchkey governed and ungoverned."""
    return RIVALS | {
        GOVERNED: partial(start_governed, stack),
        UNGOVERNED: partial(start_ungoverned, stack),
    }


def start_field(
    starters: Mapping[str, Starter], place: Place, running: ExitStack, *, stream: bool = False
) -> Field:
    """Start what can be started, and make each answer a few calls and refuse a wrong key."""
    field = Field([], {})
    for name, starter in starters.items():
        print(f"starting {name}", flush=True)
        try:
            target = running.enter_context(starter(place))
            warm_up(target, stream=stream)
        except NotProven as reason:
            print(f"not measured: {name}: {reason}", flush=True)
            field.missing[name] = str(reason)
        else:
            field.targets.append(target)
    for target in field.targets:
        # Some answer before all of their processes are ready.
        target.process.wait_until_idle(timeout_s=REST_TIMEOUT_S)
    return field
