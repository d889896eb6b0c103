"""The admin's first page: what waits for somebody, and how the system is."""

import datetime
from typing import Any

from django.db.models import Min, Q, Sum
from django.utils.timesince import timesince

from accounts.admin.cells import (
    NOTHING,
    Cell,
    Table,
    link_to,
    list_of,
    micro_usd,
    moment,
    pill,
    whole,
)
from accounts.admin.mail import STUCK
from accounts.models import ApiKey, Notification, User
from accounts.roles import is_administrator
from models_registry.access import may_decide
from models_registry.models import AccessRequest, Grant, RequestStatus
from portal import health
from portal.lib.clock import utc_now
from proxy.call import CallStatus
from proxy.models import Call, StaleHour, UsageHour

SOON_DAYS = 14
SHOWN_MAX = 10
# Refusals and callers who went away are no faults of the system.
_NO_FAULTS = [
    CallStatus.ANSWERED.value,
    CallStatus.REFUSED.value,
    CallStatus.CLIENT_GONE.value,
    CallStatus.REVOKED.value,
]


def facts(person: User) -> dict[str, Any]:
    """All that the page shows: an approver's requests, and to an administrator everything else as well."""
    now = utc_now()
    waiting = [_requests(now)] if may_decide(person) else []
    if not is_administrator(person):
        return {"stats": [], "tables": waiting, "system": []}
    return {
        "stats": _last_day(now),
        "tables": [*waiting, _mail(), _keys(now), _grants(now)],
        "system": _system(now),
    }


def _last_day(now: datetime.datetime) -> list[tuple[str, str, str]]:
    """Names, figures and what explains them, of the last 24 hours and the hour that has begun."""
    day = UsageHour.objects.filter(hour__gte=now - datetime.timedelta(hours=24))
    sums = day.aggregate(
        all_calls=Sum("calls"),
        faults=Sum("calls", filter=~Q(status__in=_NO_FAULTS)),
        refused=Sum("calls", filter=Q(status=CallStatus.REFUSED.value)),
        cost=Sum("cost_micro_usd"),
    )
    calls, faults = sums["all_calls"] or 0, sums["faults"] or 0
    share = f"{100 * faults / calls:.1f} % of the calls" if calls else "no calls"
    return [
        ("Calls", whole(calls), "in 24 hours"),
        ("Failed", whole(faults), share),
        ("Refused", whole(sums["refused"] or 0), "limits, rights and policies"),
        ("Cost", micro_usd(int(sums["cost"] or 0)), "in 24 hours"),
    ]


def _requests(now: datetime.datetime) -> Table:
    waiting = AccessRequest.objects.filter(status=RequestStatus.OPEN).order_by("created_at")
    found = waiting.select_related("team", "requested_by").prefetch_related(
        "requested_models__model"
    )[:SHOWN_MAX]
    return Table(
        "Requests that wait, the oldest first",
        ["Asks for", "Team", "Asked by", "Waits"],
        [
            [
                link_to(one, ", ".join(sorted(m.model.name for m in one.requested_models.all()))),
                one.team.name,
                str(one.requested_by or NOTHING),
                timesince(one.created_at, now),
            ]
            for one in found
        ],
        empty="No request waits for a decision.",
        more=list_of(AccessRequest, "?status__exact=open"),
    )


def _mail() -> Table:
    stuck = Notification.objects.filter(state__in=STUCK).order_by("created_at")[:SHOWN_MAX]
    return Table(
        "Mail that did not get through",
        ["Kind", "To", "State", "Asked for"],
        [
            [
                link_to(one, one.get_kind_display()),
                one.email,
                one.get_state_display(),
                moment(one.created_at),
            ]
            for one in stuck
        ],
        empty="All mail got through.",
        more=list_of(Notification),
    )


def _keys(now: datetime.datetime) -> Table:
    ending = ApiKey.objects.filter(
        revoked_at=None, expires_at__gt=now, expires_at__lte=now + datetime.timedelta(SOON_DAYS)
    )
    found = ending.select_related("team").order_by("expires_at")[:SHOWN_MAX]
    return Table(
        f"Keys that end within {SOON_DAYS} days",
        ["Key", "Name", "Team", "Ends"],
        [[link_to(key), key.name, key.team.name, moment(key.expires_at)] for key in found],
        empty="No key ends soon.",
        more=list_of(ApiKey, "?life=live"),
    )


def _grants(now: datetime.datetime) -> Table:
    ending = Grant.objects.filter(
        ends_at__gt=now, ends_at__lte=now + datetime.timedelta(SOON_DAYS)
    ).select_related("model", "team", "service_account")
    return Table(
        f"Grants that end within {SOON_DAYS} days",
        ["Model", "Granted to", "Ends"],
        [
            [
                link_to(grant, grant.model),
                str(grant.team or grant.service_account),
                moment(grant.ends_at),
            ]
            for grant in ending.order_by("ends_at")[:SHOWN_MAX]
        ],
        empty="No grant ends soon.",
        more=list_of(Grant, "?life=live"),
    )


def _system(now: datetime.datetime) -> list[tuple[str, Cell]]:
    stale = StaleHour.objects.aggregate(oldest=Min("hour"))["oldest"]
    hours = StaleHour.objects.values("hour").distinct().count()
    last = Call.objects.order_by("-id").values_list("admitted_at", flat=True).first()
    parts: list[tuple[str, Cell]] = [
        (
            name.replace("_", " ").capitalize(),
            pill("works", "ok") if works else pill("does not work", "bad"),
        )
        for name, works in health.parts().items()
    ]
    return [
        *parts,
        ("Last call", moment(last)),
        ("Hours whose usage is to be counted again", whole(hours)),
        ("The oldest of them", f"{timesince(stale, now)} ago" if stale else None),
    ]
