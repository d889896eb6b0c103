"""What a version of a policy would have asked of requests of the past, before it is switched on."""

import datetime
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from accounts.models import Team
from models_registry.models import AccessRequest, PolicyStep, PolicyVersion
from models_registry.policies_in_force import asked_by, rule_of, rules_in_force
from models_registry.policy_rules import Needed, needed_for
from models_registry.step_words import who_agrees
from portal.lib.clock import utc_now

DAYS = 30
DAYS_MAX = 366
TRIED_MAX = 500


class Outcome(StrEnum):
    """Beside what is in force now: the same, approved without anybody, or other steps."""

    SAME = "same"
    AUTOMATIC = "automatic"
    OTHER = "other"


@dataclass(frozen=True)
class Tried:
    """One request as it would go now, and with the version in the place of the policy's one in force."""

    request: AccessRequest
    now: list[Needed]
    then: list[Needed]

    @property
    def outcome(self) -> Outcome:
        if _steps(self.now) == _steps(self.then):
            return Outcome.SAME
        return Outcome.OTHER if self.then else Outcome.AUTOMATIC


def try_version(version: PolicyVersion, *, days: int = DAYS) -> list[Tried]:
    """Judge the requests of so many days, the newest first, by models and owners as they are now; TRIED_MAX at most."""
    now = rules_in_force()
    in_force = version.policy.in_force_id
    then = [rule for rule in now if rule.version_id != in_force] + [rule_of(version)]
    since = utc_now() - datetime.timedelta(days=days)
    requests = (
        AccessRequest.objects.filter(created_at__gte=since)
        .select_related("team", "requested_by")
        .prefetch_related("requested_models__model")
        .order_by("-id")
    )
    tried = []
    for request in requests[:TRIED_MAX]:
        asked = asked_by(request, [named.model for named in request.requested_models.all()])
        tried.append(Tried(request, needed_for(asked, now), needed_for(asked, then)))
    return tried


def outcomes_of(tried: Iterable[Tried]) -> Counter[Outcome]:
    return Counter(one.outcome for one in tried)


def words_of(tried: Sequence[Tried]) -> list[tuple[list[str], list[str]]]:
    """Who would have to agree to each, now and then, in words; nobody where it is empty."""
    ids = {need.step.team_id for one in tried for need in (*one.now, *one.then)}
    teams = Team.objects.in_bulk([team_id for team_id in ids if team_id is not None])
    return [
        ([_words(need, teams) for need in one.now], [_words(need, teams) for need in one.then])
        for one in tried
    ]


def _words(needed: Needed, teams: dict[uuid.UUID, Team]) -> str:
    step = needed.step
    team = None if step.team_id is None else teams.get(step.team_id)
    return who_agrees(PolicyStep(by=step.by, needs=step.needs, team=team))


def _steps(needed: Iterable[Needed]) -> list[tuple[object, ...]]:
    """What can be compared between versions: who agrees, in which stage."""
    return sorted(
        (one.step.stage, one.step.by, one.step.needs, str(one.step.team_id)) for one in needed
    )
