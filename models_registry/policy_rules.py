"""What a request needs, and whether a change of a policy lets more through: pure, so that every case can be held against it.

Every policy that matches one of the models counts, and its steps are all to be met; a model that none matches needs the
portal's own single step. So another policy can add steps, and never takes one of another's away.
"""

import datetime
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from models_registry.models.policies import StepBy, WhenLate


@dataclass(frozen=True)
class Step:
    """needs so many of whom `by` names; see models.policies."""

    by: StepBy
    needs: int = 1
    stage: int = 1
    team_id: uuid.UUID | None = None
    remind_hours: int | None = None
    due_hours: int | None = None
    when_late: WhenLate = WhenLate.REMIND


@dataclass(frozen=True)
class Rule:
    """A version of a policy."""

    version_id: uuid.UUID
    steps: tuple[Step, ...]
    model_ids: frozenset[uuid.UUID] = frozenset()
    data_classes: frozenset[str] = frozenset()
    team_ids: frozenset[uuid.UUID] = frozenset()
    budget_over: int | None = None
    budget_up_to: int | None = None


@dataclass(frozen=True)
class Asked:
    """What a request asks for, as far as policies ask. owners: of each model, the team that owns it, if any."""

    team_id: uuid.UUID
    owners: "dict[uuid.UUID, uuid.UUID | None]"
    data_class: str
    budget: int | None


@dataclass(frozen=True)
class Needed:
    """A step of a request. version_id: of the policy that asks for it; None for the portal's own."""

    version_id: uuid.UUID | None
    step: Step


class Standing(Protocol):
    """A step as it stands in a request."""

    @property
    def version_id(self) -> uuid.UUID | None: ...
    @property
    def stage(self) -> int: ...
    @property
    def met_at(self) -> datetime.datetime | None: ...


AnyStep = TypeVar("AnyStep", bound=Standing)

DEFAULT = Needed(None, Step(StepBy.DECIDERS))


def needed_for(asked: Asked, rules: Iterable[Rule]) -> list[Needed]:
    """The steps of every rule that matches, and the portal's own for models that none does. None: it is automatic."""
    needed: list[Needed] = []
    left = set(asked.owners)
    for rule in rules:
        matched = [model_id for model_id in asked.owners if matches(rule, asked, model_id)]
        left -= set(matched)
        if matched:
            needed += _resolved(rule, asked, matched)
    return [*needed, DEFAULT] if left else needed


def matches(rule: Rule, asked: Asked, model_id: uuid.UUID) -> bool:
    """Whether the rule counts for this model of the request."""
    return (
        (not rule.model_ids or model_id in rule.model_ids)
        and (not rule.data_classes or asked.data_class in rule.data_classes)
        and (not rule.team_ids or asked.team_id in rule.team_ids)
        and (rule.budget_over is None or asked.budget is None or asked.budget > rule.budget_over)
        and (
            rule.budget_up_to is None
            or (asked.budget is not None and asked.budget <= rule.budget_up_to)
        )
    )


def in_turn(steps: Sequence[AnyStep]) -> list[AnyStep]:
    """The steps that wait for somebody now: of each policy, what is not met of its first stage that is not."""
    unmet = [step for step in steps if step.met_at is None]
    first: dict[uuid.UUID | None, int] = {}
    for step in unmet:
        first[step.version_id] = min(step.stage, first.get(step.version_id, step.stage))
    return [step for step in unmet if step.stage == first[step.version_id]]


def weakens(old: Rule | None, new: Rule | None) -> bool:
    """Whether with `new` in the place of `old` any request could need less than before, whatever other rules there are.

    None: the policy is switched off. It is said of more changes than are weaker, and of each that is.
    """
    if new is None:
        # Without steps the old one only kept the portal's own away.
        return old is not None and bool(old.steps)
    has_default = _has(new, DEFAULT.step)
    if old is None:
        return not has_default
    loses_requests = bool(old.steps) and not _contains(new, old)
    loses_default = not has_default and not _contains(old, new)
    return loses_requests or loses_default or not all(_has(new, step) for step in old.steps)


def _resolved(rule: Rule, asked: Asked, matched: Iterable[uuid.UUID]) -> list[Needed]:
    """The rule's steps, with whose people can agree in them."""
    owners = {asked.owners[model_id] for model_id in matched}
    steps: list[Step] = []
    for step in rule.steps:
        if step.by is StepBy.OWNER:
            steps += [_of_owner(step, owner) for owner in sorted(owners, key=str)]
        elif step.by is StepBy.MANAGER:
            steps.append(replace(step, team_id=asked.team_id))
        else:
            steps.append(step)
    return [Needed(rule.version_id, step) for step in steps]


def _of_owner(step: Step, owner: uuid.UUID | None) -> Step:
    """A model that nobody owns is the portal's own."""
    return replace(step, by=StepBy.DECIDERS) if owner is None else replace(step, team_id=owner)


def _contains(outer: Rule, inner: Rule) -> bool:
    """Whether every request and model that the inner one matches is matched by the outer one."""
    named = (
        (outer.model_ids, inner.model_ids),
        (outer.data_classes, inner.data_classes),
        (outer.team_ids, inner.team_ids),
    )
    over, up_to = (outer.budget_over, inner.budget_over), (outer.budget_up_to, inner.budget_up_to)
    return (
        all(not wide or (narrow and narrow <= wide) for wide, narrow in named)
        and (over[0] is None or (over[1] is not None and over[1] >= over[0]))
        and (up_to[0] is None or (up_to[1] is not None and up_to[1] <= up_to[0]))
    )


def _has(rule: Rule, wanted: Step) -> bool:
    """Whether a step of the rule asks for no less than the wanted one, of the same people."""
    return any(
        (step.by, step.team_id) == (wanted.by, wanted.team_id)
        and step.needs >= wanted.needs
        and not _opens_sooner(step, wanted)
        for step in rule.steps
    )


def _opens_sooner(step: Step, wanted: Step) -> bool:
    """Whether deciders may agree in the step who in the wanted one could not, or not yet."""
    if step.by is StepBy.DECIDERS or not _escalates(step):
        return False
    return not _escalates(wanted) or (step.due_hours or 0) < (wanted.due_hours or 0)


def _escalates(step: Step) -> bool:
    return step.due_hours is not None and step.when_late is WhenLate.ESCALATE
