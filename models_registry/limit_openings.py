"""Limits whose count has to begin with what the ledger knows. Who counts says how; until then the first call has it done."""

from collections.abc import Callable, Sequence

from django.db import transaction

from models_registry.models import Limit

Opener = Callable[[Sequence[Limit]], None]
_openers: list[Opener] = []


def open_with(opener: Opener) -> None:
    """Have `opener` open the counts of limits that were set or changed from now on."""
    _openers[:] = [opener]


def open_once_written(limit: Limit) -> None:
    """Open the limit's count once the transaction is committed, so that its first call finds it open.

    Where that fails the limit is written all the same, and its first call has it opened.
    """
    for opener in _openers:
        transaction.on_commit(lambda opener=opener: opener([limit]), robust=True)  # type: ignore[misc]
