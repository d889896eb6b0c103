"""Latchkey as it is compared with others: governed, and ungoverned behind the same door."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import Target
from bench.rivals.gateway import PATH, Place
from bench.stack import APPLICATION, Stack, start_gateway

GOVERNED = "Latchkey, governed"
UNGOVERNED = "Latchkey, ungoverned"


@contextmanager
def start_governed(stack: Stack, place: Place) -> Iterator[Target]:
    """A gateway as it is."""
    with _start(stack, place, GOVERNED, application=APPLICATION) as target:
        yield target


@contextmanager
def start_ungoverned(stack: Stack, place: Place) -> Iterator[Target]:
    """A gateway that asks nobody who they are, and limits and records nothing."""
    with _start(stack, place, UNGOVERNED, application="bench.ungoverned:application") as target:
        yield target._replace(checks_key=False)


@contextmanager
def _start(stack: Stack, place: Place, name: str, *, application: str) -> Iterator[Target]:
    folder_name = f"{name.rpartition(' ')[2]}-{place.upstream}-{place.workers}"
    with start_gateway(
        stack, folder_name, core=place.core, application=application, workers=place.workers
    ) as (process, port):
        yield Target(
            name=name,
            url=f"http://127.0.0.1:{port}{PATH}",
            authorization=f"Bearer {stack.api_key}",
            model=stack.chat_model,
            process=process,
            core=place.core,
            beside=(stack.supervisor,),
        )
