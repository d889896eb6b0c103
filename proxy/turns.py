"""Work in slices, so that a long piece of it holds up no other call: between two slices the event loop has its turn."""

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Slices = Generator[None, None, T]


def at_once(slices: Slices[T]) -> T:
    """Do the whole work now and return its result."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result


async def in_turns(slices: Slices[T]) -> T:
    """Do the work, letting others run after each slice, and return its result."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
