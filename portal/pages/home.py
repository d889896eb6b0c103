"""The home page: what needs the person, what comes next for a newcomer, and where applications call."""

import datetime
from dataclasses import dataclass

from django.db.models import Exists
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.access import keys_of, teams_of
from accounts.models import ApiKey, Membership, User
from models_registry.access import grants_of, requests_seen_by
from models_registry.models import AccessRequest, Grant, RequestStatus
from models_registry.step_access import requests_waiting_for
from portal.lib.clock import utc_now

ENDS_SOON = datetime.timedelta(days=14)
SHOWN = 6


@dataclass(frozen=True)
class FirstSteps:
    """How far the person has come on the way to a first call."""

    has_access: bool
    has_key: bool
    has_called: bool

    @property
    def are_done(self) -> bool:
        return self.has_access and self.has_key and self.has_called


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is to strangers, and to whoever is signed in what needs them."""
    if not isinstance(request.user, User):
        return render(request, "portal/welcome.html")
    person = request.user
    context = {
        "memberships": _memberships(person),
        "requests": _open_requests(person),
        "keys": _ending_keys(person),
        "grants": _ending_grants(person),
        "steps": _first_steps(person),
        "to_decide": _to_decide(person),
    }
    return render(request, "portal/home.html", context)


def _memberships(person: User) -> list[Membership]:
    found = Membership.objects.filter(person=person, team__in=teams_of(person))
    found = found.select_related("team", "custom_role").order_by("team__name")
    return list(found[: SHOWN + 1])


def _open_requests(person: User) -> list[AccessRequest]:
    found = requests_seen_by(person).filter(status=RequestStatus.OPEN)
    return list(found.prefetch_related("requested_models__model")[:SHOWN])


def _ending_keys(person: User) -> list[ApiKey]:
    now = utc_now()
    found = keys_of(person).filter(
        revoked_at=None, expires_at__gt=now, expires_at__lte=now + ENDS_SOON
    )
    return list(found.order_by("expires_at")[:SHOWN])


def _ending_grants(person: User) -> list[Grant]:
    found = grants_of(person).select_related("model", "team", "service_account")
    return list(found.filter(ends_at__lte=utc_now() + ENDS_SOON).order_by("ends_at")[:SHOWN])


def _first_steps(person: User) -> FirstSteps:
    """All three in one query."""
    live_keys = keys_of(person).filter(revoked_at=None)
    row = User.objects.annotate(
        has_access=Exists(grants_of(person)),
        has_key=Exists(live_keys),
        has_called=Exists(live_keys.filter(use__isnull=False)),
    ).get(pk=person.pk)
    return FirstSteps(row.has_access, row.has_key, row.has_called)


def _to_decide(person: User) -> int:
    """How many requests the person can agree to now."""
    return requests_waiting_for(person).count()
