"""Write approval policies: make one, add a version, and switch one on or off. Requests that were made before keep theirs."""

import uuid
from collections.abc import Collection, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from accounts.audit import Actor, Fact, record_audit
from accounts.models import Team
from accounts.models.audit import ActorKind, AuditTag
from accounts.two_person import demand_second
from models_registry.models import (
    AiModel,
    ApprovalPolicy,
    DataClass,
    PolicyStep,
    PolicyVersion,
    StepBy,
    WhenLate,
)
from models_registry.models.policies import STEPS_MAX
from models_registry.policies_in_force import rule_of
from models_registry.policy_rules import Step, weakens

POLICIES_MAX = 200
VERSIONS_MAX = 1000


@transaction.atomic
def make_policy(name: str, *, actor: Actor) -> ApprovalPolicy:
    """Name a new policy. It says nothing until one of its versions is switched on. Raises: ValidationError."""
    if ApprovalPolicy.objects.count() >= POLICIES_MAX:
        raise ValidationError({"name": f"There are {POLICIES_MAX} policies already: change one."})
    policy = ApprovalPolicy(name=name.strip())
    policy.full_clean()
    policy.save(force_insert=True)
    _record(AuditTag.POLICY_MADE, policy, actor=actor)
    return policy


@transaction.atomic
def add_version(
    policy: ApprovalPolicy,
    *,
    steps: Sequence[Step],
    actor: Actor,
    model_ids: Collection[uuid.UUID] = (),
    data_classes: Collection[DataClass] = (),
    team_ids: Collection[uuid.UUID] = (),
    budget_over: int | None = None,
    budget_up_to: int | None = None,
) -> PolicyVersion:
    """Write down what the policy is to say next; it counts once it is switched on. No steps: it needs nobody.

    Raises: ValidationError naming the field.
    """
    policy = ApprovalPolicy.objects.select_for_update().get(pk=policy.pk)
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    if last >= VERSIONS_MAX:
        raise ValidationError(f"A policy has at most {VERSIONS_MAX} versions: make another one.")
    _refuse_missing(model_ids, team_ids, steps)
    version = PolicyVersion(
        policy=policy,
        number=last + 1,
        model_ids=sorted(set(model_ids)),
        data_classes=[one.value for one in DataClass if one in data_classes],
        team_ids=sorted(set(team_ids)),
        budget_over=budget_over,
        budget_up_to=budget_up_to,
        made_by_id=actor.id if actor.kind == ActorKind.PERSON else None,
    )
    version.full_clean()
    version.save(force_insert=True)
    PolicyStep.objects.bulk_create(_checked(version, step) for step in steps)
    _record(AuditTag.POLICY_VERSION_ADDED, policy, actor=actor, number=version.number)
    return version


@transaction.atomic
def switch_on(version: PolicyVersion, *, actor: Actor) -> None:
    """Let new requests be judged by this version, in the place of the one in force, if any. Twice does nothing more.

    Raises: PermissionDenied for one person alone where a request could need less by it.
    """
    policy = ApprovalPolicy.objects.select_for_update().get(pk=version.policy_id)
    if policy.in_force_id == version.pk:
        return
    if is_weaker(policy, version):
        demand_second(actor)
    policy.in_force = version
    policy.save(update_fields=["in_force"])
    _record(AuditTag.POLICY_SWITCHED_ON, policy, actor=actor, number=version.number)


@transaction.atomic
def switch_off(policy: ApprovalPolicy, *, actor: Actor) -> None:
    """Let the policy say nothing of new requests. Twice does nothing more. Raises: as switch_on."""
    policy = ApprovalPolicy.objects.select_for_update().get(pk=policy.pk)
    if policy.in_force is None:
        return
    if is_weaker(policy, None):
        demand_second(actor)
    number, policy.in_force = policy.in_force.number, None
    policy.save(update_fields=["in_force"])
    _record(AuditTag.POLICY_SWITCHED_OFF, policy, actor=actor, number=number)


def is_weaker(policy: ApprovalPolicy, version: PolicyVersion | None) -> bool:
    """Whether some request could need less once the version is in force, or the policy switched off."""
    old = None if policy.in_force is None else rule_of(policy.in_force)
    return weakens(old, None if version is None else rule_of(version))


def _refuse_missing(
    model_ids: Collection[uuid.UUID], team_ids: Collection[uuid.UUID], steps: Sequence[Step]
) -> None:
    if AiModel.objects.filter(pk__in=model_ids).count() < len(set(model_ids)):
        raise ValidationError({"models": "One of these models does not exist."})
    if Team.objects.filter(pk__in=team_ids).count() < len(set(team_ids)):
        raise ValidationError({"teams": "One of these teams does not exist."})
    groups = {step.team_id for step in steps if step.team_id is not None}
    if Team.objects.filter(pk__in=groups, disabled_at=None).count() < len(groups):
        raise ValidationError({"steps": "One of these groups does not exist, or is disabled."})
    if len(steps) > STEPS_MAX:
        raise ValidationError({"steps": f"A policy has at most {STEPS_MAX} steps."})


def _checked(version: PolicyVersion, step: Step) -> PolicyStep:
    """The step as a row. Raises: ValidationError."""
    if (step.by is StepBy.GROUP) != (step.team_id is not None):
        raise ValidationError({"steps": "A group's step names the group, and no other step does."})
    if step.when_late is not WhenLate.REMIND and step.due_hours is None:
        raise ValidationError({"steps": "What is done when a step is late needs a time."})
    if step.remind_hours and step.due_hours and step.remind_hours >= step.due_hours:
        raise ValidationError({"steps": "The reminder comes before the step is late."})
    row = PolicyStep(
        version=version,
        by=step.by,
        team_id=step.team_id,
        needs=step.needs,
        stage=step.stage,
        remind_hours=step.remind_hours,
        due_hours=step.due_hours,
        when_late=step.when_late,
    )
    try:
        row.full_clean(validate_constraints=False)
    except ValidationError as error:
        raise ValidationError({"steps": error.messages}) from None
    return row


def _record(tag: AuditTag, policy: ApprovalPolicy, *, actor: Actor, **numbers: int) -> None:
    facts: dict[str, Fact] = {**numbers}
    record_audit(
        tag,
        actor=actor,
        subject_kind="approval_policy",
        subject_id=policy.pk,
        team_id=None,
        **facts,
    )
