"""How limits stand now: what is used and held of each. Who counts says how to ask; until then nothing is known."""

import datetime
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models_registry.models import Limit


@dataclass(frozen=True)
class LimitStanding:
    """What is used of a limit, what running calls and borrowed slices hold beside it, and when it begins anew.

    resets_at: None for what does not come back by time alone.
    is_refusing: as it is set now, it has refused what had no room left in its period.
    """

    used: int
    held: int
    resets_at: datetime.datetime | None
    is_refusing: bool = False


StandingSource = Callable[[Sequence[Limit]], dict[uuid.UUID, LimitStanding]]
_sources: list[StandingSource] = []


def answer_with(source: StandingSource) -> None:
    """Ask `source` from now on: it gets limits and says how each stands, those that it cannot tell left out."""
    _sources[:] = [source]


def standings_of(limits: Sequence[Limit]) -> dict[uuid.UUID, LimitStanding]:
    """How each of the limits stands, by its id. Empty while the counts cannot be read."""
    return _sources[0](limits) if _sources and limits else {}
