"""What an administrator does for a proof about budgets."""

import time
from collections import Counter

from django.conf import settings

from accounts.audit import SYSTEM
from accounts.models import ApiKey
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, remove_limit, set_limit
from portal.lib.clock import utc_now
from proxy.leases.rebuild import rebuild
from proxy.leases.standings import read_standings
from proxy.ledger_use import used_of
from proxy.limit_windows import window_of
from proxy.models import Call, first_id_since

REBUILT_WITHIN_S = 30.0


def set_budget(*, key: str, micro_usd: int) -> str:
    """Give a key a fixed sum of money in place of the one it had, open and counted from nothing."""
    owner = ApiKey.objects.get(public_id=key.split("_")[1])
    for limit in Limit.objects.filter(key=owner):
        remove_limit(limit, actor=SYSTEM)
    limit = set_limit(
        Subject(key=owner),
        measure=LimitMeasure.MICRO_USD,
        period=LimitPeriod.FIXED_SUM,
        amount=micro_usd,
        actor=SYSTEM,
    )
    deadline = time.monotonic() + REBUILT_WITHIN_S
    while not rebuild(settings.LATCHKEY_LIMITS_URL, {window_of(limit, now=utc_now()): 0}):
        if time.monotonic() > deadline:
            raise TimeoutError("The budget was not opened within 30 s.")
        time.sleep(0.2)
    return str(limit.pk)


def read_budget(*, limit_id: str) -> dict[str, int | dict[str, int]]:
    """What the store says is used and held of a budget, and what the ledger says was spent of it by which calls that were let in."""
    limit, now = Limit.objects.get(pk=limit_id), utc_now()
    owner = ApiKey.objects.get(limits=limit)
    (standing,) = read_standings(settings.LATCHKEY_LIMITS_URL, [window_of(limit, now=now)])
    return {
        "used": standing.used,
        "held": standing.held,
        "is_closed": int(standing.is_closed),
        "spent": used_of(limit, now=now),
        "statuses": Counter(
            Call.objects.filter(
                key_id=owner.pk, id__gte=first_id_since(limit.created_at), reserved_tokens__gt=0
            ).values_list("status", flat=True)
        ),
    }


def read_last_cost(*, key: str) -> int | None:
    """What the newest call of a key cost, in micro-USD; None where it has none yet."""
    owner = ApiKey.objects.get(public_id=key.split("_")[1])
    call = Call.objects.filter(key_id=owner.pk, status="answered").order_by("-id").first()
    return None if call is None else call.cost_micro_usd
