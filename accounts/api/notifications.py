"""How the person who asks is told of what."""

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


class DeliveriesGiven(Given):
    """By kind: by mail at once, in one mail a day, or in the portal alone."""

    request_made = serializers.ChoiceField(choices=DELIVERIES)
    request_commented = serializers.ChoiceField(choices=DELIVERIES)
    request_decided = serializers.ChoiceField(choices=DELIVERIES)
    request_withdrawn = serializers.ChoiceField(choices=DELIVERIES)
    request_agreed = serializers.ChoiceField(choices=DELIVERIES)
    request_waits = serializers.ChoiceField(choices=DELIVERIES)
    approvals_delegated = serializers.ChoiceField(choices=DELIVERIES)
    key_ending = serializers.ChoiceField(choices=DELIVERIES)
    key_idle = serializers.ChoiceField(choices=DELIVERIES)
    key_disabled = serializers.ChoiceField(choices=DELIVERIES)
    key_rotated = serializers.ChoiceField(choices=DELIVERIES)
    grant_ending = serializers.ChoiceField(choices=DELIVERIES)
    limit_alert = serializers.ChoiceField(choices=DELIVERIES)
    proposal_decided = serializers.ChoiceField(choices=DELIVERIES)


class DeliveriesTaken(Taken):
    """What is left out stays as it is."""

    request_made = Choice(choices=DELIVERIES, required=False)
    request_commented = Choice(choices=DELIVERIES, required=False)
    request_decided = Choice(choices=DELIVERIES, required=False)
    request_withdrawn = Choice(choices=DELIVERIES, required=False)
    request_agreed = Choice(choices=DELIVERIES, required=False)
    request_waits = Choice(choices=DELIVERIES, required=False)
    approvals_delegated = Choice(choices=DELIVERIES, required=False)
    key_ending = Choice(choices=DELIVERIES, required=False)
    key_idle = Choice(choices=DELIVERIES, required=False)
    key_disabled = Choice(choices=DELIVERIES, required=False)
    key_rotated = Choice(choices=DELIVERIES, required=False)
    grant_ending = Choice(choices=DELIVERIES, required=False)
    limit_alert = Choice(choices=DELIVERIES, required=False)
    proposal_decided = Choice(choices=DELIVERIES, required=False)


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
