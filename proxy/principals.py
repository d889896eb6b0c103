"""Loads principals from PostgreSQL."""

import datetime
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.db.models import F, Q

from accounts.ways_in.presented import Presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import CredentialKind, Door, Proven
from models_registry.access import grants_to
from models_registry.models import Grant, KeyModel, Limit
from portal.lib.clock import utc_now
from proxy.leases.window import Measure, Window
from proxy.limit_windows import renewal_of, window_of
from proxy.principal import GrantedModel, JournalIds, Principal

MINUTE_S = 60
_WINDOW_NAMES = {
    CredentialKind.API_KEY: "key",
    CredentialKind.OAUTH_TOKEN: "client",
    CredentialKind.WORKLOAD: "rule",
}
Windows = tuple[Window, ...]


def load_principal(presented: Presented) -> Principal | None:
    """Return the credential's principal, or None for one that is unknown, wrong, revoked, ended or whose holder is gone."""
    now = utc_now()
    proven = prove(presented, door=Door.CALLS, now=now)
    return None if proven is None else assemble(proven, now=now)


def assemble(proven: Proven, *, now: datetime.datetime) -> Principal:
    """Add what a proven caller may do and spends from: the same for every way in."""
    holder = _Holder.of(proven)
    windows, of_models = _limits(holder, now=now)
    windows = _windows(proven) + windows
    grants = _grants(holder, windows, of_models, now=now)
    renewal = renewal_of((*windows, *(window for found in of_models.values() for window in found)))
    return Principal(
        credential_id=proven.credential_id,
        kind=proven.kind,
        team_id=holder.team_id,
        service_account_id=holder.service_account_id,
        person_id=holder.person_id,
        purpose=proven.purpose,
        scopes=proven.scopes,
        networks=proven.networks,
        hours=proven.hours,
        expires_at=proven.expires_at,
        depends_on=proven.depends_on,
        windows=windows,
        journal_ids=JournalIds(
            holder.team_id.bytes,
            proven.credential_id.bytes,
            holder.service_account_id.bytes if holder.service_account_id else None,
            holder.person_id.bytes if holder.person_id else None,
        ),
        grants=grants,
        only_models=_only_models(proven),
        renew_at=renewal,
        ends_at=proven.ends_at,
        by_previous_secret=proven.by_previous_secret,
    )


@dataclass(frozen=True)
class _Holder:
    """Whose limits and grants apply. key_id: of an API key, the one credential that has limits of its own."""

    team_id: uuid.UUID
    service_account_id: uuid.UUID | None
    person_id: uuid.UUID | None
    key_id: uuid.UUID | None

    @classmethod
    def of(cls, proven: Proven) -> Self:
        return cls(
            proven.team.pk,
            proven.service_account.pk if proven.service_account else None,
            proven.person.pk if proven.person else None,
            proven.key.pk if proven.key else None,
        )


def _only_models(proven: Proven) -> frozenset[uuid.UUID] | None:
    if proven.key is None:
        return None
    only = frozenset(KeyModel.objects.filter(key=proven.key).values_list("model_id", flat=True))
    # A list that lost its rows allows nothing, and rows narrow whatever wrote them.
    return only if proven.key.is_narrowed or only else None


def _windows(proven: Proven) -> tuple[Window, ...]:
    """Calls and tokens of any minute: a key's own figures where it has some, and the default for every other credential."""
    requests = settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE
    tokens = settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE
    if proven.key is not None:
        requests = proven.key.requests_per_minute or requests
        tokens = proven.key.tokens_per_minute or tokens
    name = f"{_WINDOW_NAMES[proven.kind]}:{proven.credential_id.hex}"
    return (
        Window(f"{name}:requests", requests, MINUTE_S, Measure.REQUESTS),
        Window(f"{name}:tokens", tokens, MINUTE_S, Measure.TOKENS),
    )


def _limits(holder: _Holder, *, now: datetime.datetime) -> tuple[Windows, dict[uuid.UUID, Windows]]:
    """The windows of every limit that bounds the holder's calls, and those of its team's calls of one model, by model.

    What bounds a model for everybody stands in its route.
    """
    bounds = Q(team_id=holder.team_id, person=None)
    if holder.key_id is not None:
        bounds |= Q(key_id=holder.key_id)
    if holder.service_account_id is not None:
        bounds |= Q(service_account_id=holder.service_account_id)
    else:
        bounds |= Q(person_id=holder.person_id) & (Q(team=None) | Q(team_id=holder.team_id))
    windows: list[Window] = []
    of_models: dict[uuid.UUID, Windows] = {}
    for limit in Limit.objects.filter(bounds).order_by("id"):
        window = window_of(limit, now=now)
        if limit.model_id is None:
            windows.append(window)
        else:
            of_models[limit.model_id] = (*of_models.get(limit.model_id, ()), window)
    return tuple(windows), of_models


def _grant_windows(grant: Grant) -> Windows:
    """The grant's limits, counted under its own id: whoever of the team calls, it spends from these."""
    limits = (
        (Measure.REQUESTS, grant.requests_per_minute),
        (Measure.TOKENS, grant.tokens_per_minute),
    )
    return tuple(
        Window(f"grant:{grant.id.hex}:{measure}", limit, MINUTE_S, measure)
        for measure, limit in limits
        if limit
    )


def _grants(
    holder: _Holder,
    windows: Windows,
    of_models: dict[uuid.UUID, Windows],
    *,
    now: datetime.datetime,
) -> dict[uuid.UUID, tuple[GrantedModel, ...]]:
    """Every grant that has not ended, of the team and of the service account; starts are judged at each call."""
    granted = grants_to(team_id=holder.team_id, service_account_id=holder.service_account_id)
    found: dict[uuid.UUID, list[GrantedModel]] = defaultdict(list)
    widest_first = (
        F("requests_per_minute").desc(nulls_first=True),
        F("tokens_per_minute").desc(nulls_first=True),
    )
    for grant in granted.filter(ends_at__gt=now).order_by(*widest_first):
        spent_from = windows + _grant_windows(grant) + of_models.get(grant.model_id, ())
        found[grant.model_id].append(
            GrantedModel(frozenset(grant.scopes), grant.starts_at, grant.ends_at, spent_from)
        )
    return {model_id: tuple(grants) for model_id, grants in found.items()}
