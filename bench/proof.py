"""What a proof is: a name, a promise in one line, and a run that ends in a verdict."""

from typing import NamedTuple, Protocol


class Verdict(NamedTuple):
    """A proof's figure beside its target."""

    figure: str
    target: str
    held: bool


class NotProven(Exception):
    """A proof that could not be carried out; the message says what is missing and what to do."""


class Proof(Protocol):
    """The shape of each proof's module."""

    NAME: str
    PROMISE: str

    def run(self) -> Verdict:
        """Carry the proof out and compare its figure with its target."""
        ...
