"""Limits that fill up: whoever answers for them is told at the chosen percentages, once in each period."""

import datetime
import uuid
from collections.abc import Iterable

from django.db import transaction

from accounts.models import Notification, Team, User
from accounts.models.notifications import NotificationKind
from accounts.reminders import in_chunks, keepers_of
from accounts.roles import PortalRight, holds
from accounts.writes.notifications import Fact, notify
from accounts.writes.webhooks import teams_with_webhooks, tell_webhooks
from models_registry.limit_standings import LimitStanding, standings_of
from models_registry.limit_words import amount_text, limit_text
from models_registry.models import Limit, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from models_registry.periods import calendar_period
from portal.lib.clock import utc_now

_USED_UP = 100
_LENGTHS_S = {LimitPeriod.HOUR: 3_600, LimitPeriod.DAY: 86_400}


def tell_of_limits() -> int:
    """Put the alerts that are due and were not given yet into the outbox; return how many. Nothing while counts are away."""
    now = utc_now()
    limits = (
        Limit.objects.filter(alert_percents__len__gt=0)
        .select_related(
            "key__team", "service_account__team", "person", "team", "model__owner", "set_by"
        )
        .order_by("pk")
    )
    return sum(_tell(chunk, now=now) for chunk in in_chunks(limits.iterator()))


def percent_due(limit: Limit, standing: LimitStanding) -> int | None:
    """The highest of the limit's percentages that is reached; those below it lapse with it.

    A hard limit refuses what has no room before the whole of it is used: once it does, it is used up.
    """
    reached = standing.used * 100 // limit.amount
    if standing.is_refusing and not limit.is_soft:
        reached = max(reached, _USED_UP)
    return max((one for one in limit.alert_percents if one <= reached), default=None)


def _tell(limits: list[Limit], *, now: datetime.datetime) -> int:
    standings = standings_of(limits)
    due = [
        (limit, standing, percent)
        for limit in limits
        if (standing := standings.get(limit.pk)) is not None
        and (percent := percent_due(limit, standing)) is not None
    ]
    keepers = keepers_of({team.pk for limit, _, _ in due for team in _teams(limit)})
    wanted: dict[str, tuple[User, dict[str, Fact]]] = {}
    teams: dict[str, tuple[Team, dict[str, Fact]]] = {}
    listening = teams_with_webhooks(team.pk for limit, _, _ in due for team in _teams(limit))
    for limit, standing, percent in due:
        # A limit that was changed is told of anew.
        name = f"limit:{limit.pk.hex}:{_period_name(limit, now)}:{limit.amount}:{percent}"
        facts = _facts(limit, standing, percent)
        for team in _teams(limit):
            if team.pk in listening:
                slug = team.slug if limit.owning_team_id == team.pk else ""
                teams[name] = (team, facts | {"slug": slug, "in_admin": False})
        for person in _told(limit, keepers):
            wanted[f"{name}:{person.pk.hex}"] = (person, facts | _link(limit, person, keepers))
    told = Notification.objects.filter(once__in=wanted).values_list("once", flat=True)
    new = wanted.keys() - set(told)
    with transaction.atomic():
        for once in sorted(new):
            person, facts = wanted[once]
            notify(person, NotificationKind.LIMIT_ALERT, once=once, **facts)
        for once, (team, facts) in sorted(teams.items()):
            tell_webhooks(team.pk, NotificationKind.LIMIT_ALERT, once=once, **facts)
    return len(new)


def _period_name(limit: Limit, now: datetime.datetime) -> str:
    period = LimitPeriod(limit.period)
    if period in CALENDAR_PERIODS:
        return calendar_period(period, limit.zone, now=now).name
    if period in _LENGTHS_S:
        return str(int(now.timestamp()) // _LENGTHS_S[period])
    return "sum"


def _teams(limit: Limit) -> Iterable[Team]:
    """The team that the limit belongs to; of a model's own limit, the one that answers for the model."""
    for row in (limit.key, limit.service_account):
        if row is not None:
            return (row.team,)
    team = limit.team if limit.team is not None or limit.model is None else limit.model.owner
    return () if team is None else (team,)


def _told(limit: Limit, keepers: dict[uuid.UUID, list[User]]) -> list[User]:
    """Owners and managers of the team, whoever set it, and of a person's own limit that person; each once."""
    people = [person for team in _teams(limit) for person in keepers[team.pk]]
    if limit.set_by is not None:
        people.append(limit.set_by)
    if limit.person is not None and limit.team is None:
        people.append(limit.person)
    return list({person.pk: person for person in people if person.is_active}.values())


def _facts(limit: Limit, standing: LimitStanding, percent: int) -> dict[str, Fact]:
    teams = list(_teams(limit))
    return {
        "limit_id": str(limit.pk),
        "of": _name(limit),
        "team": teams[0].name if teams else "",
        "at_most": limit_text(limit),
        "used": amount_text(standing.used, limit.measure),
        "percent": percent,
        "is_soft": limit.is_soft,
        "resets_at": "" if standing.resets_at is None else standing.resets_at.isoformat(),
    }


def _link(limit: Limit, person: User, keepers: dict[uuid.UUID, list[User]]) -> dict[str, Fact]:
    """Where this person reads of it: on the team's page, in the admin, or nowhere but the home page."""
    for team in _teams(limit):
        if limit.owning_team_id == team.pk and person in keepers[team.pk]:
            return {"slug": team.slug, "in_admin": False}
    return {"slug": "", "in_admin": holds(person, PortalRight.SEE_REGISTRY)}


def _name(limit: Limit) -> str:
    for row in (limit.key, limit.service_account, limit.model):
        if row is not None:
            return str(row.name)
    if limit.person is not None:
        return limit.person.name or limit.person.email
    return limit.team.name if limit.team is not None else ""
