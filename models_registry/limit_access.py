"""The doors to limits; see accounts.access for what they raise."""

import uuid

from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.access import keys_of, teams_of
from accounts.models import ApiKey, Team, User
from accounts.roles import Right
from models_registry.models import Limit, SubjectKind

_OF_TEAMS = (SubjectKind.KEY, SubjectKind.SERVICE_ACCOUNT, SubjectKind.MEMBER)


def limits_seen_by(person: User) -> QuerySet[Limit]:
    """What bounds the person's own calls and keys, and everything of teams whose usage they see.

    Each member sees the limits of the team itself. What bounds a model for everybody is administrators' to see.
    """
    teams, watched = teams_of(person), teams_of(person, right=Right.SEE_USAGE)
    seen = Q(team__in=teams, person=None)
    seen |= Q(service_account__team__in=teams)
    seen |= Q(key__in=keys_of(person).values("pk"))
    seen |= Q(key__team__in=watched) | Q(team__in=watched)
    seen |= Q(person=person, team__in=teams)
    if person.acts_in_team_id is None:
        seen |= Q(person=person, team=None)
    return _with_subjects(Limit.objects.filter(seen))


def limits_of_team(person: User, team: Team) -> QuerySet[Limit]:
    """Those of the limits that the person sees which belong to the team."""
    return limits_seen_by(person).filter(belonging_to(team.pk))


def belonging_to(team_id: uuid.UUID) -> Q:
    """The limits of the team, its keys, service accounts and members."""
    return Q(team=team_id) | Q(service_account__team=team_id) | Q(key__team=team_id)


def limits_of_key(person: User, key: ApiKey) -> QuerySet[Limit]:
    """What bounds the calls of a key that the person may see, of whatever model.

    What its holder may use over all their teams is the holder's alone to see.
    """
    bounds = Q(key=key) | Q(team_id=key.team_id, person=None, model=None)
    if key.service_account_id is not None:
        bounds |= Q(service_account_id=key.service_account_id)
    else:
        bounds |= Q(person_id=key.person_id, team_id=key.team_id)
    if key.person_id == person.pk and person.acts_in_team_id is None:
        bounds |= Q(person=person, team=None)
    return _with_subjects(Limit.objects.filter(bounds))


def all_limits() -> QuerySet[Limit]:
    """Every limit, for administrators."""
    return _with_subjects(Limit.objects.all())


def access_limit(person: User, limit_id: uuid.UUID) -> Limit:
    """Return a limit that the person sees. Raises: Http404."""
    found = limits_seen_by(person).filter(pk=limit_id).first()
    if found is None:
        raise Http404
    return found


def may_change(person: User, limit: Limit) -> bool:
    """Whether the person may change or remove the limit in their team."""
    team_id = limit.owning_team_id
    if limit.by_administrator or limit.subject_kind not in _OF_TEAMS or team_id is None:
        return False
    return teams_of(person, right=Right.MANAGE_LIMITS).filter(pk=team_id).exists()


def _with_subjects(limits: QuerySet[Limit]) -> QuerySet[Limit]:
    return limits.select_related("key__team", "service_account__team", "person", "team", "model")
