"""Loads principals from PostgreSQL."""

import uuid
from collections import defaultdict

from django.conf import settings
from django.db.models import F, Q

from accounts.models import ApiKey
from accounts.proving import networks_of, prove_key
from models_registry.models import Grant, KeyModel, Limit
from portal.lib.clock import utc_now
from proxy.leases.window import Measure, Window
from proxy.limit_windows import renewal_of, window_of
from proxy.principal import GrantedModel, JournalIds, Principal

MINUTE_S = 60
Windows = tuple[Window, ...]


def load_principal(credential: str, public_id: str) -> Principal | None:
    """Return the key's principal, or None for a key that is unknown, wrong, revoked, ended or whose holder is gone."""
    key = prove_key(credential, public_id, now=utc_now())
    return None if key is None else _assemble(key)


def _assemble(key: ApiKey) -> Principal:
    only = frozenset(KeyModel.objects.filter(key=key).values_list("model_id", flat=True))
    windows, of_models = _limits(key)
    windows = _windows(key) + windows
    grants = _grants(key, windows, of_models)
    renewal = renewal_of((*windows, *(window for found in of_models.values() for window in found)))
    return Principal(
        key_id=key.id,
        team_id=key.team_id,
        service_account_id=key.service_account_id,
        person_id=key.person_id,
        purpose=key.purpose,
        scopes=frozenset(key.scopes),
        networks=networks_of(key),
        expires_at=key.expires_at,
        windows=windows,
        journal_ids=JournalIds(
            key.team_id.bytes,
            key.id.bytes,
            key.service_account_id.bytes if key.service_account_id else None,
            key.person_id.bytes if key.person_id else None,
        ),
        grants=grants,
        # A list that lost its rows allows nothing, and rows narrow whatever wrote them.
        only_models=only if key.is_narrowed or only else None,
        renew_at=renewal,
    )


def _windows(key: ApiKey) -> tuple[Window, ...]:
    requests = key.requests_per_minute or settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE
    tokens = key.tokens_per_minute or settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE
    return (
        Window(f"key:{key.id.hex}:requests", requests, MINUTE_S, Measure.REQUESTS),
        Window(f"key:{key.id.hex}:tokens", tokens, MINUTE_S, Measure.TOKENS),
    )


def _limits(key: ApiKey) -> tuple[Windows, dict[uuid.UUID, Windows]]:
    """The windows of every limit that bounds the key's calls, and those of its team's calls of one model, by model.

    What bounds a model for everybody stands in its route.
    """
    bounds = Q(key=key) | Q(team_id=key.team_id, person=None)
    if key.service_account_id is not None:
        bounds |= Q(service_account_id=key.service_account_id)
    else:
        bounds |= Q(person_id=key.person_id) & (Q(team=None) | Q(team_id=key.team_id))
    now = utc_now()
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
    """The grant's limits, counted under its own id: whatever key of the team calls, it spends from these."""
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
    key: ApiKey, windows: Windows, of_models: dict[uuid.UUID, Windows]
) -> dict[uuid.UUID, tuple[GrantedModel, ...]]:
    """Every grant that has not ended, of the team and of the service account; starts are judged at each call."""
    of_holder = Q(team_id=key.team_id)
    if key.service_account_id is not None:
        of_holder |= Q(service_account_id=key.service_account_id)
    found: dict[uuid.UUID, list[GrantedModel]] = defaultdict(list)
    widest_first = (
        F("requests_per_minute").desc(nulls_first=True),
        F("tokens_per_minute").desc(nulls_first=True),
    )
    for grant in Grant.objects.filter(of_holder, ends_at__gt=utc_now()).order_by(*widest_first):
        spent_from = windows + _grant_windows(grant) + of_models.get(grant.model_id, ())
        found[grant.model_id].append(
            GrantedModel(frozenset(grant.scopes), grant.starts_at, grant.ends_at, spent_from)
        )
    return {model_id: tuple(grants) for model_id, grants in found.items()}
