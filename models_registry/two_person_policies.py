"""Changes of approval policies by which a request could need less than before: they take two people."""

import uuid

import msgspec
from django.core.exceptions import ValidationError

from accounts.audit import Actor, acting
from accounts.models import Proposal, User
from accounts.models.proposals import ProposedAction
from accounts.roles import PortalRight
from accounts.two_person import TwoPersonAct, plug_in
from accounts.writes.proposals import propose
from models_registry.models import ApprovalPolicy, PolicyVersion
from models_registry.policy_text import text_of_version
from models_registry.writes.policies import is_weaker, switch_off, switch_on


class SwitchedPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """version_id: None switches the policy off."""

    policy_id: uuid.UUID
    version_id: uuid.UUID | None


def ask_to_switch(
    policy: ApprovalPolicy, version: PolicyVersion | None, *, by: User, why: str
) -> Proposal | None:
    """Switch the version on, or the policy off for None; or propose it where a request could need less by it.

    Raises: as switch_on, switch_off and propose.
    """
    facts = SwitchedPolicy(policy.pk, None if version is None else version.pk)
    if is_weaker(policy, version):
        return propose(ProposedAction.SWITCH_POLICY, facts, by=by, why=why, subject_id=policy.pk)
    _switch(facts, acting(by))
    return None


def _switch(facts: SwitchedPolicy, actor: Actor) -> None:
    policy, version = _policy(facts), _version(facts)
    if version is None:
        switch_off(policy, actor=actor)
    else:
        switch_on(version, actor=actor)


def _says(facts: SwitchedPolicy) -> str:
    try:
        policy, version = _policy(facts), _version(facts)
    except ValidationError as gone:
        return " ".join(gone.messages)
    if version is None:
        return f"{policy.name}: it is switched off."
    steps = text_of_version(version).replace("\n", "; ") or "nobody has to agree"
    return f"{policy.name}: version {version.number} is switched on ({steps})."


def _policy(facts: SwitchedPolicy) -> ApprovalPolicy:
    found = ApprovalPolicy.objects.select_related("in_force").filter(pk=facts.policy_id).first()
    if found is None:
        raise ValidationError("This policy is not there any more.")
    return found


def _version(facts: SwitchedPolicy) -> PolicyVersion | None:
    if facts.version_id is None:
        return None
    found = PolicyVersion.objects.filter(pk=facts.version_id, policy=facts.policy_id).first()
    if found is None:
        raise ValidationError("This version is not there any more.")
    return found


def plug_in_policies() -> None:
    """Let changes of policies be proposed."""
    plug_in(
        TwoPersonAct(
            ProposedAction.SWITCH_POLICY,
            PortalRight.MANAGE_GRANTS,
            SwitchedPolicy,
            _switch,
            _says,
        )
    )
