"""How the person who asks is told of what."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Given, Taken
from accounts.api.operations import operation
from accounts.api.views import ManagementView
from accounts.models import User
from accounts.models.notifications import CHOSEN_KINDS, Delivery, NotificationKind
from accounts.writes.notifications import choose_deliveries, delivery_of

DELIVERIES = [delivery.value for delivery in Delivery]


def _by_kind(field: Callable[[], Any]) -> dict[str, Any]:
    """A field for each kind that is anybody's to choose, so that a new one is not forgotten here."""
    return {kind.value: field() for kind in CHOSEN_KINDS}


DeliveriesGiven = type(
    "DeliveriesGiven",
    (Given,),
    {"__doc__": "By kind: by mail at once, in one mail a day, or in the portal alone."}
    | _by_kind(lambda: serializers.ChoiceField(choices=DELIVERIES)),
)
DeliveriesTaken = type(
    "DeliveriesTaken",
    (Taken,),
    {"__doc__": "What is left out stays as it is."}
    | _by_kind(lambda: Choice(choices=DELIVERIES, required=False)),
)


class MyNotifications(ManagementView):
    @operation("get_my_deliveries", "Read how you are told.", gives=DeliveriesGiven)
    def get(self, request: Request) -> Response:
        """Answer how you are told of each kind that is yours to choose."""
        return Response(_chosen(self.person))

    @operation(
        "choose_my_deliveries",
        "Choose how you are told.",
        takes=DeliveriesTaken,
        gives=DeliveriesGiven,
        example={"limit_alert": "daily"},
    )
    def patch(self, request: Request) -> Response:
        """Choose how you are told of each kind from now on."""
        chosen = {NotificationKind(kind): Delivery(how) for kind, how in self.taken.items()}
        choose_deliveries(self.person, chosen, actor=self.actor)
        return Response(_chosen(self.person))


def _chosen(person: User) -> dict[str, str]:
    return {kind.value: delivery_of(person, kind).value for kind in CHOSEN_KINDS}
