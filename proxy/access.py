"""The doors to usage and to calls; see accounts.access for what they raise.

Whoever has the right to see a team's usage sees all of it, and everybody sees what their own keys used in teams they
are in.
"""

import uuid
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.access import memberships_of
from accounts.models import Team, User
from accounts.roles import Right, may
from proxy.models import Call, UsageHour


@dataclass(frozen=True)
class Sight:
    """What somebody sees: `whole_teams` to the last call, and in `own_teams` the calls of their own keys.

    teams: all of them, by name.
    """

    person_id: uuid.UUID
    whole_teams: tuple[uuid.UUID, ...]
    own_teams: tuple[uuid.UUID, ...]
    teams: tuple[Team, ...] = ()

    @property
    def filter(self) -> Q:
        """The rows of calls or usage that are seen."""
        seen = Q(team_id__in=self.whole_teams)
        return seen | Q(team_id__in=self.own_teams, person_id=self.person_id)

    def narrowed_to(self, team_id: uuid.UUID) -> "Sight":
        """Return what is seen of one team, which is nothing where the person is not in it."""
        return Sight(
            self.person_id,
            tuple(team for team in self.whole_teams if team == team_id),
            tuple(team for team in self.own_teams if team == team_id),
            tuple(team for team in self.teams if team.pk == team_id),
        )


def sight_of(person: User) -> Sight:
    """Return what the person sees of usage and calls."""
    memberships = (
        memberships_of(person)
        .filter(team__disabled_at=None)
        .select_related("team")
        .order_by("team__name")
    )
    whole = [found.team_id for found in memberships if may(found, Right.SEE_USAGE)]
    own = [found.team_id for found in memberships if not may(found, Right.SEE_USAGE)]
    teams = tuple(found.team for found in memberships)
    return Sight(person.pk, tuple(whole), tuple(own), teams)


def usage_of(person: User) -> QuerySet[UsageHour]:
    """The usage by hour that the person sees."""
    return UsageHour.objects.filter(sight_of(person).filter)


def calls_seen_by(person: User) -> QuerySet[Call]:
    """The calls that the person sees, newest first; bound them by id (first_id_at) before they are listed."""
    return Call.objects.filter(sight_of(person).filter).order_by("-id")


def access_call(person: User, call_id: uuid.UUID) -> Call:
    """Return the call. Raises: Http404."""
    call = calls_seen_by(person).filter(pk=call_id).first()
    if call is None:
        raise Http404
    return call
