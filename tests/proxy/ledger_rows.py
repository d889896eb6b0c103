"""Calls and usage for tests of what is shown, written straight into the tables."""

from typing import Any

from accounts.models import ApiKey, Team, User
from models_registry.models import AiModel
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from proxy.models import Adjustment, Call, UsageDay, UsageHour

NAMED = ("team_id", "key_id", "model_id", "status")
SUMMED = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_micro_usd",
    "duration_us",
)


def new_call(team: Team, person: User | None = None, **changes: Any) -> Call:
    """A call in the ledger, counted in the usage of its hour and day."""
    facts = _blank(Call) | {"id": new_id(), "key_id": new_id(), "team_id": team.pk}
    facts |= {"admitted_at": utc_now(), "status": "answered", "kind": "chat", "http_status": 200}
    facts |= {"person_id": person and person.pk, "duration_us": 5000}
    call = Call.objects.create(**(facts | changes))
    hour = call.admitted_at.replace(minute=0, second=0, microsecond=0)
    _count(UsageHour, call, hour=hour)
    _count(UsageDay, call, day=hour.date())
    return call


def _count(usage: type[UsageHour | UsageDay], call: Call, **when: Any) -> None:
    """Count the call, in a row that is written anew, as the roll-up does."""
    facts = when | {name: getattr(call, name) for name in NAMED}
    row = usage.objects.filter(**facts).first()
    sums = {name: getattr(call, name) + getattr(row, name, 0) for name in SUMMED}
    if row is not None:
        row.delete()
    facts |= {"person_id": call.person_id, "service_account_id": call.service_account_id}
    usage.objects.create(**facts, calls=getattr(row, "calls", 0) + 1, **sums)


def call_with(key: ApiKey, model: AiModel | None = None, **changes: Any) -> Call:
    """A call made with the key."""
    holder = {"person_id": key.person_id, "service_account_id": key.service_account_id}
    facts = {"key_id": key.pk, "model_id": model and model.pk} | holder | changes
    return new_call(key.team, **facts)


def correct(call: Call, **changes: Any) -> Adjustment:
    """What became known of the call later."""
    facts = _blank(Adjustment) | {"call_id": call.pk, "kind": "late_end", "at": utc_now()}
    return Adjustment.objects.create(**(facts | {"status": "answered"} | changes))


def _blank(model: type[Call | Adjustment]) -> dict[str, Any]:
    blanks: dict[str, Any] = {"TextField": "", "BooleanField": False}
    return {
        field.attname: blanks.get(field.get_internal_type(), 0)
        for field in model._meta.concrete_fields
        if not field.null and field.get_internal_type() != "BigAutoField"
    }
