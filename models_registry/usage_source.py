"""What the registry wants to know of usage. Who counts it says how to ask; until then nothing is known."""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ModelUse:
    """What a team used of one model. Refused calls are counted among `calls` alone."""

    model_id: uuid.UUID
    calls: int
    tokens: int
    cost_micro_usd: int


UsageSource = Callable[[uuid.UUID, datetime.datetime], list[ModelUse]]
_sources: list[UsageSource] = []


def answer_with(source: UsageSource) -> None:
    """Ask `source` from now on: it gets a team's id and a time, and says what the team used since."""
    _sources[:] = [source]


def use_of_team(team_id: uuid.UUID, *, since: datetime.datetime) -> list[ModelUse]:
    return _sources[0](team_id, since) if _sources else []
