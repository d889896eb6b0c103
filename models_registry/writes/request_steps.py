"""The steps of a request: written when it is made."""

from collections.abc import Iterable

from models_registry.models import AccessRequest, AiModel, RequestStep
from models_registry.policies_in_force import asked_by, rules_in_force
from models_registry.policy_rules import Needed, in_turn, needed_for
from portal.lib.clock import utc_now


def write_steps(request: AccessRequest, models: Iterable[AiModel]) -> list[RequestStep]:
    """Keep with the request what the policies in force ask of it, and begin with those whose turn is first."""
    needed = needed_for(asked_by(request, models), rules_in_force())
    steps = [_row(request, one) for one in needed]
    for step in in_turn(steps):
        step.turn_at = utc_now()
    RequestStep.objects.bulk_create(steps)
    return steps


def _row(request: AccessRequest, needed: Needed) -> RequestStep:
    step = needed.step
    return RequestStep(
        request=request,
        version_id=needed.version_id,
        by=step.by,
        team_id=step.team_id,
        stage=step.stage,
        needs=step.needs,
        remind_hours=step.remind_hours,
        due_hours=step.due_hours,
        when_late=step.when_late,
    )
