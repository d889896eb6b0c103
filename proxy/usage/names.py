"""The names of what the ledger holds ids of. It outlives what it names: what is gone has no name here, only its id."""

import uuid
from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import CharField, Value

from accounts.models import (
    ApiKey,
    OAuthApplication,
    ServiceAccount,
    Team,
    TrustRule,
    User,
)
from models_registry.models import AiModel
from proxy.usage.summary import Holder

Ids = Iterable[uuid.UUID | None]


def model_names(ids: Ids) -> dict[uuid.UUID, str]:
    return dict(AiModel.objects.filter(pk__in=_known(ids)).values_list("pk", "name"))


def team_names(ids: Ids) -> dict[uuid.UUID, str]:
    return dict(Team.objects.filter(pk__in=_known(ids)).values_list("pk", "name"))


def keys_by_id(ids: Ids) -> dict[uuid.UUID, ApiKey]:
    """Return the keys with their teams and holders, in one query."""
    found = ApiKey.objects.select_related("team", "service_account", "person")
    return found.in_bulk(_known(ids))


class Label(NamedTuple):
    """How a credential is called, and what of it may be shown beside: of a key its public id, of others nothing."""

    name: str
    shown: str


def credential_labels(ids: Ids) -> dict[uuid.UUID, Label]:
    """Return the labels of keys, OAuth clients and rules of trust, in one query."""
    known = _known(ids)
    if not known:
        return {}
    nothing = Value("", output_field=CharField())
    keys = ApiKey.objects.filter(pk__in=known).values_list("pk", "name", "public_id")
    clients = OAuthApplication.objects.filter(credential_id__in=known)
    rules = TrustRule.objects.filter(pk__in=known)
    found = keys.union(
        clients.values_list("credential_id", "name", nothing),
        rules.values_list("pk", "name", nothing),
        all=True,
    )
    return {
        one: Label(name, f"lk_{public_id}_…" if public_id else "") for one, name, public_id in found
    }


def credential_names(ids: Ids) -> dict[uuid.UUID, str]:
    """Return how keys, OAuth clients and rules of trust are called, in one query."""
    return {one: label.name for one, label in credential_labels(ids).items()}


def holder_names(holders: Iterable[Holder]) -> dict[Holder, str]:
    """Return how people and applications are called, in a query for each of the two."""
    asked = list(holders)
    people = User.objects.in_bulk(_known(holder.person_id for holder in asked))
    accounts = ServiceAccount.objects.in_bulk(_known(holder.service_account_id for holder in asked))
    names = {}
    for holder in asked:
        if holder.person_id in people:
            person = people[holder.person_id]
            names[holder] = person.name or person.email
        elif holder.service_account_id in accounts:
            names[holder] = accounts[holder.service_account_id].name
    return names


def _known(ids: Ids) -> list[uuid.UUID]:
    return list({one for one in ids if one is not None})
