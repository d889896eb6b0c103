from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, link_to, moment, pill, text
from accounts.admin.lists import ChoicesFilter
from accounts.audit import acting
from accounts.models import CaughtMail, Notification, User
from accounts.models.notifications import NotificationState
from accounts.roles import PortalRight
from accounts.writes.notifications import send_again

_TONES = {
    NotificationState.WAITING: "quiet",
    NotificationState.HANDED_OVER: "warn",
    NotificationState.SENT: "ok",
    NotificationState.UNCERTAIN: "warn",
    NotificationState.FAILED: "bad",
    NotificationState.GATHERED: "quiet",
    NotificationState.DIGESTED: "ok",
    NotificationState.KEPT: "quiet",
}
STUCK = (NotificationState.UNCERTAIN, NotificationState.FAILED)


def _send_again(notification: Notification, actor: User, values: dict[str, Any]) -> None:
    send_again(notification, actor=acting(actor))


@admin.register(Notification)
class NotificationAdmin(PortalAdmin):
    """The outbox. A mail whose sending was interrupted is sent again only by somebody's decision."""

    sees = right = PortalRight.MANAGE_MAIL
    list_display = ("kind", "email", "state_shown", "tries", "created", "fault")
    list_filter = (("state", ChoicesFilter), ("kind", ChoicesFilter))
    search_fields = ("email",)
    search_help_text = gettext_lazy("E-mail address")
    ordering = ("-created_at",)
    acts = (
        Act(
            "send-again",
            gettext_lazy("Send again"),
            _send_again,
            gettext_lazy("The mail is sent again."),
            shows=lambda notification: notification.state in STUCK,
            warning=gettext_lazy(
                "Where the first try got through after all, the person has the mail twice."
            ),
            is_bulk=True,
        ),
    )

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, notification: Notification) -> SafeString:
        state = NotificationState(notification.state)
        return pill(str(state.label), _TONES[state])

    @display(description=gettext_lazy("asked for"), ordering="created_at")
    def created(self, notification: Notification) -> Cell:
        return moment(notification.created_at)

    def facts(self, found: Notification) -> list[tuple[str, Cell]]:
        return [
            (_("Kind"), found.get_kind_display()),
            (_("To"), found.email),
            (_("Person"), link_to(found.person)),
            (_("State"), self.state_shown(found)),
            (_("Tries"), found.tries),
            (_("What went wrong"), found.fault),
            (_("Asked for"), moment(found.created_at)),
            (_("Next try"), moment(found.next_try_at)),
            (_("Handed over"), moment(found.handed_over_at)),
            *[
                (_("Fact: %(name)s") % {"name": name}, str(value))
                for name, value in found.facts.items()
            ],
        ]


@admin.register(CaughtMail)
class CaughtMailAdmin(PortalAdmin):
    """What a demonstration would have sent. The text is shown as text; the HTML is not opened here."""

    list_display = ("subject", "to", "caught")
    search_fields = ("to", "subject")
    search_help_text = gettext_lazy("E-mail address or subject")
    ordering = ("-at",)

    @display(description=gettext_lazy("caught"), ordering="at")
    def caught(self, mail: CaughtMail) -> Cell:
        return moment(mail.at)

    def trail_of(self, found: CaughtMail) -> None:
        return None

    def facts(self, found: CaughtMail) -> list[tuple[str, Cell]]:
        return [
            (_("To"), found.to),
            (_("Subject"), found.subject),
            (_("Caught"), moment(found.at)),
            (_("Text"), text(found.text)),
        ]
