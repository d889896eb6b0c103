"""Propose what takes two people, and decide on it. The proposer never confirms; of two who decide at once one does."""

import datetime
import uuid

import msgspec
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.access import people_holding
from accounts.audit import Actor, acting, record_audit
from accounts.models import Proposal, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.proposals import ProposalState, ProposedAction
from accounts.roles import holds
from accounts.two_person import TwoPersonAct, act_of
from accounts.writes.notifications import notify
from accounts.writes.portal_roles import person_of
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now

PROPOSAL_LIFE = datetime.timedelta(days=3)
OPEN_PER_PERSON_MAX = 50
TOLD_MAX = 50


@transaction.atomic
def propose(
    action: ProposedAction,
    facts: msgspec.Struct,
    *,
    by: User,
    why: str,
    subject_id: uuid.UUID | None = None,
) -> Proposal:
    """Put an act before the others who may decide on it, for three days. Each of them is told by mail.

    What could not be carried out now is refused now.
    Raises: PermissionDenied, ValidationError.
    """
    why = checked_reason(why, act="it is needed")
    act = act_of(action)
    by = User.objects.select_for_update(no_key=True).get(pk=by.pk)
    if not holds(by, act.right):
        raise PermissionDenied
    _rehearse(act, facts, by)
    waiting = Proposal.objects.filter(proposed_by=by, state=ProposalState.OPEN)
    if waiting.filter(ends_at__gt=utc_now()).count() >= OPEN_PER_PERSON_MAX:
        raise ValidationError(
            f"{OPEN_PER_PERSON_MAX} proposals of yours wait. Withdraw some first."
        )
    made = Proposal.objects.create(
        action=action,
        facts=msgspec.to_builtins(facts),
        subject_id=subject_id,
        proposed_by=by,
        why=why,
        ends_at=utc_now() + PROPOSAL_LIFE,
    )
    _record(AuditTag.PROPOSAL_MADE, made, actor=acting(by))
    for person in people_holding(act.right).exclude(pk=by.pk)[:TOLD_MAX]:
        _tell(person, NotificationKind.PROPOSAL_MADE, made, by)
    return made


@transaction.atomic
def confirm_proposal(proposal: Proposal, *, actor: Actor) -> None:
    """Carry out what was proposed, in the name of both.

    actor: another person who holds the same right, or a command on the host.
    Raises: PermissionDenied, also where the proposer lost the right; ValidationError where it was decided or is over.
    """
    found = _open(proposal)
    act = act_of(found.action)
    _refuse_decider(found, act, actor)
    proposer = found.proposed_by
    if not holds(proposer, act.right):
        raise PermissionDenied("Whoever proposed this may not do it any more.")
    _close(found, ProposalState.CONFIRMED, actor)
    act.carry_out(act.read(found.facts), Actor(ActorKind.PERSON, proposer.pk, second=actor))
    _record(AuditTag.PROPOSAL_CONFIRMED, found, actor=actor)
    _tell(proposer, NotificationKind.PROPOSAL_DECIDED, found, proposer)


@transaction.atomic
def refuse_proposal(proposal: Proposal, *, actor: Actor, reason: str) -> None:
    """Refuse what was proposed. Raises: as confirm_proposal; ValidationError without a reason."""
    reason = checked_reason(reason, act="it is refused")
    found = _open(proposal)
    _refuse_decider(found, act_of(found.action), actor)
    _close(found, ProposalState.REFUSED, actor, reason)
    _record(AuditTag.PROPOSAL_REFUSED, found, actor=actor, reason=reason)
    _tell(found.proposed_by, NotificationKind.PROPOSAL_DECIDED, found, found.proposed_by)


@transaction.atomic
def withdraw_proposal(proposal: Proposal, *, by: User) -> None:
    """Take one's own proposal back. Raises: PermissionDenied, ValidationError."""
    found = _open(proposal)
    if found.proposed_by_id != by.pk:
        raise PermissionDenied
    _close(found, ProposalState.WITHDRAWN, acting(by))
    _record(AuditTag.PROPOSAL_WITHDRAWN, found, actor=acting(by))


def _rehearse(act: TwoPersonAct, facts: msgspec.Struct, by: User) -> None:
    """Carry it out as if the host had confirmed it, and undo that. Raises: whatever the write refuses."""
    both = Actor(ActorKind.PERSON, by.pk, second=Actor(ActorKind.COMMAND))
    with transaction.atomic():
        act.carry_out(facts, both)
        transaction.set_rollback(True)


def _open(proposal: Proposal) -> Proposal:
    """The proposal as it is now, kept from changing until the end. Raises: ValidationError unless it waits."""
    found = (
        Proposal.objects.select_for_update(of=("self",))
        .select_related("proposed_by")
        .get(pk=proposal.pk)
    )
    if found.state != ProposalState.OPEN:
        raise ValidationError(f"This proposal has been {found.state} meanwhile.")
    if found.ends_at <= utc_now():
        raise ValidationError("This proposal's time is over. It has to be made anew.")
    return found


def _refuse_decider(found: Proposal, act: TwoPersonAct, actor: Actor) -> None:
    if actor.kind != ActorKind.PERSON:
        return
    if actor.id == found.proposed_by_id:
        raise PermissionDenied("Nobody decides on a proposal of their own.")
    person = person_of(actor)
    if person is None or not holds(person, act.right):
        raise PermissionDenied


def _close(found: Proposal, state: ProposalState, actor: Actor, reason: str = "") -> None:
    found.state, found.decided_at, found.decided_by_id = state, utc_now(), actor.id
    found.decision_reason = reason
    found.save(update_fields=["state", "decided_at", "decided_by", "decision_reason"])


def _record(tag: AuditTag, found: Proposal, *, actor: Actor, reason: str = "") -> None:
    record_audit(
        tag,
        actor=actor,
        subject_kind="proposal",
        subject_id=found.pk,
        action=found.action,
        about=str(found.subject_id or ""),
        reason=reason,
    )


def _tell(person: User, kind: NotificationKind, found: Proposal, by: User) -> None:
    notify(
        person,
        kind,
        proposal_id=str(found.pk),
        action=str(found.get_action_display()),
        state=found.state,
        why=found.why,
        by=by.name or by.email,
        reason=found.decision_reason,
    )
