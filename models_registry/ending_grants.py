"""Grants that end soon: the owners and managers of the team are told."""

import datetime
from collections.abc import Iterator

from django.db.models import Q

from accounts.models import Team
from accounts.models.notifications import NotificationKind
from accounts.reminders import FIRST_WARNING, Ending, in_chunks, keepers_of, tell_of_endings
from models_registry.access import OFFERED
from models_registry.models import Grant
from portal.lib.clock import utc_now


def tell_of_ending_grants() -> int:
    """Warn of the ends of grants that still allow something; return how many mails that makes."""
    now = utc_now()
    return tell_of_endings(_endings(now), now=now)


def _endings(now: datetime.datetime) -> Iterator[Ending]:
    ending = Grant.objects.select_related("model", "team", "service_account__team").filter(
        Q(team__disabled_at=None, service_account=None)
        | Q(service_account__disabled_at=None, service_account__team__disabled_at=None, team=None),
        model__status__in=OFFERED,
        ends_at__gt=now,
        ends_at__lte=now + FIRST_WARNING,
    )
    for grants in in_chunks(ending.order_by("pk")):
        keepers = keepers_of({_team(grant).pk for grant in grants})
        for grant in grants:
            account = grant.service_account
            yield Ending(
                id=grant.pk,
                kind=NotificationKind.GRANT_ENDING,
                since=grant.starts_at,
                ends_at=grant.ends_at,
                team_id=_team(grant).pk,
                told=keepers[_team(grant).pk],
                facts={
                    "model": grant.model.name,
                    "team": _team(grant).name,
                    "holder": "" if account is None else account.name,
                },
            )


def _team(grant: Grant) -> Team:
    """The team whose grant it is, its own or its service account's."""
    if grant.service_account is not None:
        return grant.service_account.team
    assert grant.team is not None  # noqa: S101 - the database holds that one of both is named.
    return grant.team
