"""Limits that bound a model for everybody: a policy of the portal, so that it takes two people to have it off."""

import uuid

import msgspec

from accounts.audit import Actor, acting
from accounts.models import Proposal, User
from accounts.models.proposals import ProposedAction
from accounts.roles import PortalRight
from accounts.two_person import TwoPersonAct, plug_in
from accounts.writes.proposals import propose
from models_registry.limit_words import limit_text, whose
from models_registry.models import Limit
from models_registry.writes.limits import bounds_everybody, remove_limit


class RemovedLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit_id: uuid.UUID


def ask_to_remove(limit: Limit, *, by: User, why: str) -> Proposal | None:
    """Remove the limit, or propose it where it bounds everybody. Raises: as remove_limit and propose."""
    if not bounds_everybody(limit):
        remove_limit(limit, actor=acting(by))
        return None
    facts = RemovedLimit(limit.pk)
    return propose(ProposedAction.REMOVE_LIMIT, facts, by=by, why=why, subject_id=limit.pk)


def _remove(facts: RemovedLimit, actor: Actor) -> None:
    limit = _found(facts)
    if limit is not None:
        remove_limit(limit, actor=actor)


def _says(facts: RemovedLimit) -> str:
    limit = _found(facts)
    return "It is removed already." if limit is None else f"{whose(limit)}: {limit_text(limit)}"


def _found(facts: RemovedLimit) -> Limit | None:
    return Limit.objects.select_related("model").filter(pk=facts.limit_id).first()


def plug_in_limits() -> None:
    """Let the removal of such limits be proposed."""
    right = PortalRight.MANAGE_LIMITS
    plug_in(TwoPersonAct(ProposedAction.REMOVE_LIMIT, right, RemovedLimit, _remove, _says))
