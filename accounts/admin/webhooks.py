from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, link_to, moment, pill
from accounts.admin.lists import ChoicesFilter
from accounts.audit import acting
from accounts.models import User, WebhookDelivery
from accounts.models.webhooks import DeliveryState
from accounts.roles import PortalRight
from accounts.writes.webhooks import deliver_again

_TONES = {
    DeliveryState.WAITING: "quiet",
    DeliveryState.DELIVERED: "ok",
    DeliveryState.DEAD: "bad",
}


def _deliver_again(delivery: WebhookDelivery, actor: User, values: dict[str, Any]) -> None:
    deliver_again(delivery, actor=acting(actor))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(PortalAdmin):
    """The outbox of webhooks, dead letters among it. Neither a URL nor a secret is shown."""

    sees = right = PortalRight.MANAGE_MAIL
    list_display = ("kind", "team", "host", "state_shown", "tries", "created", "fault")
    list_filter = (("state", ChoicesFilter), ("kind", ChoicesFilter))
    list_select_related = ("webhook__team",)
    search_fields = ("fault",)
    search_help_text = gettext_lazy("What went wrong")
    ordering = ("-id",)
    acts = (
        Act(
            "deliver-again",
            gettext_lazy("Deliver again"),
            _deliver_again,
            gettext_lazy("It is tried again."),
            shows=lambda delivery: delivery.state == DeliveryState.DEAD,
            is_bulk=True,
        ),
    )

    @display(description=gettext_lazy("team"))
    def team(self, delivery: WebhookDelivery) -> Cell:
        return delivery.webhook.team.name

    @display(description=gettext_lazy("sent to"))
    def host(self, delivery: WebhookDelivery) -> Cell:
        return delivery.webhook.host

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, delivery: WebhookDelivery) -> SafeString:
        state = DeliveryState(delivery.state)
        return pill(str(state.label), _TONES[state])

    @display(description=gettext_lazy("asked for"), ordering="id")
    def created(self, delivery: WebhookDelivery) -> Cell:
        return moment(delivery.created_at)

    def facts(self, found: WebhookDelivery) -> list[tuple[str, Cell]]:
        return [
            (_("Kind"), found.get_kind_display()),
            (_("Team"), link_to(found.webhook.team)),
            (_("Webhook"), found.webhook.name),
            (_("Sent to"), found.webhook.host),
            (_("State"), self.state_shown(found)),
            (_("Tries"), found.tries),
            (_("What went wrong"), found.fault),
            (_("Asked for"), moment(found.created_at)),
            (_("Next try"), moment(found.next_try_at)),
            (_("Delivered"), moment(found.delivered_at)),
            (_("Says"), str(found.payload.get("text", ""))),
        ]
