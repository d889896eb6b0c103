"""From where and when a service account, a team or a key may be used, as the management API takes and answers it."""

import ipaddress
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_service_account
from accounts.api.fields import Choice, Given, Taken, Text
from accounts.api.operations import operation
from accounts.api.permissions import refuse_token
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView, ManagementView
from accounts.models import ApiKey, ServiceAccount, Team
from accounts.roles import Right
from accounts.ways_in.proven import Proven
from accounts.writes.bounds import change_bounds
from accounts.writes.networks import NETWORKS_MAX
from portal.lib.client_address import Network
from portal.lib.hours import DAYS

_TIME = "HH:MM; 24:00 is midnight. An end that is not after the beginning is the next day's."
_MISSING = [ProblemCode.NOT_FOUND]


class Networks(serializers.ListField):
    """CIDRs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=Text(max_length=50), max_length=NETWORKS_MAX, **options)


class HoursTaken(Taken):
    days = serializers.ListField(child=Choice(choices=DAYS), min_length=1, max_length=len(DAYS))
    begins = Text(max_length=5, help_text=_TIME)
    ends = Text(max_length=5, help_text=_TIME)
    zone = Text(max_length=64, help_text="Of the IANA database, such as Europe/Berlin.")


class HoursGiven(Given):
    days = serializers.ListField(child=serializers.ChoiceField(choices=DAYS))
    begins = serializers.CharField()
    ends = serializers.CharField()
    zone = serializers.CharField()


class BoundsTaken(Taken):
    """Both are replaced."""

    networks = Networks(help_text="CIDRs it may be used from; none means from anywhere.")
    hours = HoursTaken(allow_null=True, help_text="Null means at any time.")


class BoundsGiven(Given):
    id = serializers.UUIDField()
    networks = serializers.ListField(child=serializers.CharField())
    hours = HoursGiven(allow_null=True)


_EXAMPLE = {
    "networks": ["10.20.0.0/16"],
    "hours": {
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "begins": "07:00",
        "ends": "19:00",
        "zone": "Europe/Berlin",
    },
}


class ServiceAccountBounds(ManagementView):
    @operation(
        "get_service_account_bounds",
        "Read from where and when a service account may be used.",
        gives=BoundsGiven,
        refuses=_MISSING,
    )
    def get(self, request: Request, account: uuid.UUID) -> Response:
        """Answer the conditions of one of your teams' service accounts; those of the team hold on top."""
        return Response(BoundsGiven(access_service_account(self.person, account)).data)

    @operation(
        "change_service_account_bounds",
        "Say from where and when a service account may be used.",
        takes=BoundsTaken,
        gives=BoundsGiven,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def put(self, request: Request, account: uuid.UUID) -> Response:
        """Replace its conditions, within a second. A key or token makes them narrower and never wider."""
        found = access_service_account(self.person, account, right=Right.MANAGE_SERVICE_ACCOUNTS)
        _refuse_wider(request.auth, found, self.taken)
        change_bounds(found, actor=self.actor, **self.taken)
        found.refresh_from_db()
        return Response(BoundsGiven(found).data)


class _AnyBounds(AdministratorView):
    """Of any subject, for administrators."""

    def change(self, found: ApiKey | Team) -> Response:
        change_bounds(found, actor=self.actor, **self.taken)
        found.refresh_from_db()
        return Response(BoundsGiven(found).data)


class TeamBounds(_AnyBounds):
    @operation(
        "get_team_bounds",
        "Read from where and when a team may call.",
        gives=BoundsGiven,
        refuses=_MISSING,
    )
    def get(self, request: Request, team: uuid.UUID) -> Response:
        """Answer the conditions that hold for every caller of the team."""
        return Response(BoundsGiven(get_object_or_404(Team, pk=team)).data)

    @operation(
        "change_team_bounds",
        "Say from where and when a team may call.",
        takes=BoundsTaken,
        gives=BoundsGiven,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def put(self, request: Request, team: uuid.UUID) -> Response:
        """Replace the team's conditions, which hold on top of those of its keys and service accounts."""
        return self.change(get_object_or_404(Team, pk=team))


class KeyBounds(_AnyBounds):
    @operation(
        "get_key_bounds",
        "Read from where and when a key may be used.",
        gives=BoundsGiven,
        refuses=_MISSING,
    )
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """Answer the conditions of any key."""
        return Response(BoundsGiven(get_object_or_404(ApiKey, pk=key)).data)

    @operation(
        "change_key_bounds",
        "Say from where and when a key may be used.",
        takes=BoundsTaken,
        gives=BoundsGiven,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def put(self, request: Request, key: uuid.UUID) -> Response:
        """Replace the key's conditions. Whoever holds the key changes them on its page."""
        return self.change(get_object_or_404(ApiKey, pk=key))


def _refuse_wider(presented: object, found: ServiceAccount, taken: Mapping[str, Any]) -> None:
    """Hold whoever came with a key or token to making it narrower, so that a stolen one opens nothing. Raises: Problem."""
    if not isinstance(presented, Proven):
        return
    own = [ipaddress.ip_network(text) for text in found.networks]
    if own and not lie_within(taken["networks"], own):
        raise invalid({"networks": ["A key or token names networks within those there are."]})
    if found.hours is not None and taken["hours"] != found.hours:
        raise invalid({"hours": ["Sign in to change hours that there are."]})


def refuse_wider(presented: Proven, facts: Mapping[str, Any]) -> None:
    """Refuse to give on what goes further than the key presented, or outlives it; a token gives on nothing. Raises: Problem.

    facts: scopes, and where there are any, networks and expires_at.
    """
    refuse_token(presented)
    if not set(facts["scopes"]) <= presented.scopes:
        raise invalid({"scopes": ["Name scopes of the key you came with."]})
    ends_at = facts.get("expires_at")
    if ends_at is None or ends_at > presented.expires_at:
        most = presented.expires_at.isoformat()
        raise invalid({"expires_at": [f"At most {most}, when the key you came with ends."]})
    for own in presented.networks:
        if not lie_within(facts.get("networks", ()), own):
            raise invalid({"networks": ["Name networks within those you may come from yourself."]})


def lie_within(wanted: Sequence[str], own: Sequence[Network]) -> bool:
    """Whether networks are named, all inside. What is no network is left to the write to refuse."""
    try:
        networks = [ipaddress.ip_network(text.strip()) for text in wanted]
    except ValueError:
        return True
    return bool(networks) and all(
        any(one.version == other.version and one.subnet_of(other) for other in own)  # type: ignore[arg-type]
        for one in networks
    )
