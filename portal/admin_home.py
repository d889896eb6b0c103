"""The admin's first page: what waits for somebody, and how the system is."""

import datetime
from typing import Any

from django.db.models import Count, Min, Prefetch, Q, Sum
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

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
from accounts.roles import PortalRight, holds, is_administrator
from models_registry.models import AccessRequest, Grant, RequestedModel, RequestStatus
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
    """All that the page shows: of each part what the person may see there."""
    now = utc_now()
    tables = [
        (PortalRight.DECIDE_REQUESTS, _requests),
        (PortalRight.MANAGE_MAIL, _mail),
        (PortalRight.SEE_PEOPLE, _keys),
        (PortalRight.SEE_REGISTRY, _grants),
    ]
    return {
        "stats": _last_day(now) if holds(person, PortalRight.SEE_CALLS) else [],
        "tables": [table(now) for right, table in tables if holds(person, right)],
        "system": _system(now) if is_administrator(person) else [],
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
    share = (
        _("%(share)s %% of the calls") % {"share": f"{100 * faults / calls:.1f}"}
        if calls
        else _("no calls")
    )
    return [
        (_("Calls"), whole(calls), _("in 24 hours")),
        (_("Failed"), whole(faults), share),
        (_("Refused"), whole(sums["refused"] or 0), _("limits, rights and policies")),
        (_("Cost"), micro_usd(int(sums["cost"] or 0)), _("in 24 hours")),
    ]


def _requests(now: datetime.datetime) -> Table:
    waiting = AccessRequest.objects.filter(status=RequestStatus.OPEN).order_by("created_at")
    models = RequestedModel.objects.select_related("model")
    found = waiting.select_related("team", "requested_by").prefetch_related(
        Prefetch("requested_models", models)
    )[:SHOWN_MAX]
    return Table(
        _("Requests that wait, the oldest first"),
        [_("Asks for"), _("Team"), _("Asked by"), _("Waits")],
        [
            [
                link_to(one, ", ".join(sorted(m.model.name for m in one.requested_models.all()))),
                one.team.name,
                str(one.requested_by or NOTHING),
                timesince(one.created_at, now),
            ]
            for one in found
        ],
        empty=_("No request waits for a decision."),
        more=list_of(AccessRequest, "?status__exact=open"),
    )


def _mail(now: datetime.datetime) -> Table:
    stuck = Notification.objects.filter(state__in=STUCK).order_by("created_at")[:SHOWN_MAX]
    return Table(
        _("Mail that did not get through"),
        [_("Kind"), _("To"), _("State"), _("Asked for")],
        [
            [
                link_to(one, one.get_kind_display()),
                one.email,
                one.get_state_display(),
                moment(one.created_at),
            ]
            for one in stuck
        ],
        empty=_("All mail got through."),
        more=list_of(Notification),
    )


def _keys(now: datetime.datetime) -> Table:
    ending = ApiKey.objects.filter(
        revoked_at=None, expires_at__gt=now, expires_at__lte=now + datetime.timedelta(SOON_DAYS)
    )
    found = ending.select_related("team").order_by("expires_at")[:SHOWN_MAX]
    return Table(
        _("Keys that end within %(days)s days") % {"days": SOON_DAYS},
        [_("Key"), _("Name"), _("Team"), _("Ends")],
        [[link_to(key), key.name, key.team.name, moment(key.expires_at)] for key in found],
        empty=_("No key ends soon."),
        more=list_of(ApiKey, "?life=live"),
    )


def _grants(now: datetime.datetime) -> Table:
    ending = Grant.objects.filter(
        ends_at__gt=now, ends_at__lte=now + datetime.timedelta(SOON_DAYS)
    ).select_related("model", "team", "service_account")
    return Table(
        _("Grants that end within %(days)s days") % {"days": SOON_DAYS},
        [_("Model"), _("Granted to"), _("Ends")],
        [
            [
                link_to(grant, grant.model),
                str(grant.team or grant.service_account),
                moment(grant.ends_at),
            ]
            for grant in ending.order_by("ends_at")[:SHOWN_MAX]
        ],
        empty=_("No grant ends soon."),
        more=list_of(Grant, "?life=live"),
    )


def _system(now: datetime.datetime) -> list[tuple[str, Cell]]:
    stale = StaleHour.objects.aggregate(oldest=Min("hour"), hours=Count("hour", distinct=True))
    oldest = stale["oldest"]
    last = Call.objects.order_by("-id").values_list("admitted_at", flat=True).first()
    parts: list[tuple[str, Cell]] = [
        (
            name.replace("_", " ").capitalize(),
            pill(_("works"), "ok") if works else pill(_("does not work"), "bad"),
        )
        for name, works in health.parts().items()
    ]
    return [
        *parts,
        (_("Last call"), moment(last)),
        (_("Hours whose usage is to be counted again"), whole(stale["hours"])),
        (
            _("The oldest of them"),
            _("%(span)s ago") % {"span": timesince(oldest, now)} if oldest else None,
        ),
    ]
