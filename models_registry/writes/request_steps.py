"""The steps of a request: written when it is made, and met one after the other. Whoever calls holds the request's lock."""

import datetime
from collections.abc import Iterable, Sequence

from django.core.exceptions import PermissionDenied

from accounts.models import User
from models_registry.models import AccessRequest, AiModel, RequestStep, StepApproval
from models_registry.policies_in_force import asked_by, rules_in_force
from models_registry.policy_rules import DEFAULT, Needed, in_turn, needed_for
from models_registry.step_access import open_steps_of, place_taken
from models_registry.writes.request_budgets import cuts_what_is_used
from models_registry.writes.request_terms import Allowed
from portal.lib.clock import utc_now

NOT_OWN = "Nobody decides on a request of their own."
NOT_NOW = "It is not for you to agree now: others have to, or you have agreed already."


def write_steps(request: AccessRequest, models: Iterable[AiModel]) -> list[RequestStep]:
    """Keep with the request what the policies in force ask of it, and begin with those whose turn is first.

    What a team uses already is bounded by nobody alone: a budget that would do so is agreed to by whoever decides.
    """
    models, amount = list(models), request.budget_micro_usd
    needed = needed_for(asked_by(request, models), rules_in_force())
    if not needed and amount is not None and cuts_what_is_used(request.team, models, amount):
        needed = [DEFAULT]
    steps = [_row(request, one) for one in needed]
    _begin(steps)
    RequestStep.objects.bulk_create(steps)
    return steps


def steps_for(person: User, steps: Sequence[RequestStep]) -> list[RequestStep]:
    """Those of a request's steps that wait for the person now. Raises: PermissionDenied where none does."""
    turn = [step.pk for step in in_turn(steps)]
    theirs = RequestStep.objects.filter(open_steps_of(person), pk__in=turn)
    waiting = set(theirs.values_list("pk", flat=True))
    own = [step for step in steps if step.pk in waiting]
    if not own:
        raise PermissionDenied(NOT_NOW)
    return own


def agree(
    person: User,
    own: Sequence[RequestStep],
    steps: Sequence[RequestStep],
    *,
    allowed: Allowed,
    reason: str,
) -> list[RequestStep]:
    """Note in their own steps that the person agrees to so much. Returns the steps whose turn comes by it.

    steps: all of the request, in which it is noted what is met now.
    """
    now = utc_now()
    StepApproval.objects.bulk_create(_approval(step, person, allowed, reason, now) for step in own)
    for step in own:
        if step.approvals.count() >= step.needs:
            step.met_at = now
            step.save(update_fields=["met_at"])
    begun = _begin(steps)
    RequestStep.objects.bulk_update(begun, ["turn_at"])
    return begun


def _begin(steps: Sequence[RequestStep]) -> list[RequestStep]:
    begun = [step for step in in_turn(steps) if step.turn_at is None]
    for step in begun:
        step.turn_at = utc_now()
    return begun


def _approval(
    step: RequestStep,
    person: User,
    allowed: Allowed,
    reason: str,
    now: datetime.datetime,
) -> StepApproval:
    return StepApproval(
        step=step,
        at=now,
        person=person,
        in_place_of=place_taken(person, step),
        reason=reason,
        model_ids=[model.pk for model in allowed.models],
        ends_at=allowed.ends_at,
        requests_per_minute=allowed.requests_per_minute,
        tokens_per_minute=allowed.tokens_per_minute,
        budget_micro_usd=allowed.budget_micro_usd,
    )


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
