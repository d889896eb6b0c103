"""Steps of a policy as lines of text, as whoever writes a policy enters and reads them."""

import re
from collections.abc import Iterable

from django.core.exceptions import ValidationError

from accounts.models import Team
from models_registry.models import PolicyVersion, StepBy, WhenLate
from models_registry.models.policies import HOURS_MAX, NEEDS_MAX, STEPS_MAX
from models_registry.policies_in_force import step_of
from models_registry.policy_rules import Step

TEXT_MAX = 2000
_LINE = re.compile(
    r"(?P<stage>[0-9]{1,2}) (?:(?P<by>deciders|owner|manager|security)|group:(?P<group>[-a-z0-9_]{1,60}))"
    r"(?: x(?P<needs>[0-9]{1,2}))?(?: remind (?P<remind>[0-9]{1,4}))?"
    r"(?: due (?P<due>[0-9]{1,4})(?: (?P<late>remind|escalate|deny))?)?",
    re.ASCII,
)


def steps_from(text: str) -> list[Step]:
    """Read steps, one a line, as `1 group:finance x2 remind 24 due 48 escalate`. Raises: ValidationError naming the line."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) > STEPS_MAX:
        raise ValidationError(f"A policy has at most {STEPS_MAX} steps.")
    return [_read(number, line) for number, line in enumerate(lines, 1)]


def text_of(steps: Iterable[Step]) -> str:
    """Write steps as `steps_from` reads them."""
    steps = list(steps)
    groups = {step.team_id for step in steps if step.team_id is not None}
    slugs = dict(Team.objects.filter(pk__in=groups).values_list("pk", "slug"))
    return "\n".join(
        _line(step, slugs[step.team_id] if step.team_id is not None else "") for step in steps
    )


def text_of_version(version: PolicyVersion) -> str:
    return text_of(step_of(step, step.team_id) for step in version.steps.all())


def _read(number: int, line: str) -> Step:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValidationError(
            f"Line {number} is no step. Write a stage, who, how many and by when, as: 1 security x2 remind 24 due 48 escalate"
        )
    group = None
    if found["group"]:
        group = Team.objects.filter(slug=found["group"]).first()
        if group is None:
            raise ValidationError(f"Line {number}: there is no team {found['group']}.")
    step = Step(
        by=StepBy(found["by"] or StepBy.GROUP),
        team_id=None if group is None else group.pk,
        stage=int(found["stage"]),
        needs=int(found["needs"] or 1),
        remind_hours=int(found["remind"]) if found["remind"] else None,
        due_hours=int(found["due"]) if found["due"] else None,
        when_late=WhenLate(found["late"] or WhenLate.REMIND),
    )
    hours = [hours for hours in (step.remind_hours, step.due_hours) if hours is not None]
    if not (1 <= step.stage <= STEPS_MAX and 1 <= step.needs <= NEEDS_MAX) or not all(
        1 <= one <= HOURS_MAX for one in hours
    ):
        raise ValidationError(
            f"Line {number}: a stage is 1 to {STEPS_MAX}, at most {NEEDS_MAX} people agree, within {HOURS_MAX} hours."
        )
    return step


def _line(step: Step, group: str) -> str:
    parts = [str(step.stage), f"group:{group}" if step.by is StepBy.GROUP else step.by.value]
    if step.needs > 1:
        parts.append(f"x{step.needs}")
    if step.remind_hours is not None:
        parts.append(f"remind {step.remind_hours}")
    if step.due_hours is not None:
        parts.append(f"due {step.due_hours} {step.when_late.value}")
    return " ".join(parts)
