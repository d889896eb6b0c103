"""The one page of a person's notifications: all that they were told, and how they want to be told."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.audit import acting
from accounts.mail.headlines import Headline, headline_of
from accounts.models import Notification, NotificationChoice, User
from accounts.models.notifications import (
    CHOSEN_KINDS,
    Delivery,
    NotificationKind,
    NotificationState,
)
from accounts.pages.parts import page_of, show_refusal
from accounts.signed_in import person_of
from accounts.writes.notifications import choose_deliveries

KIND_LABELS: "dict[NotificationKind, str | Promise]" = {
    NotificationKind.REQUEST_MADE: gettext_lazy("A team asks for access"),
    NotificationKind.REQUEST_COMMENTED: gettext_lazy("A comment on a request"),
    NotificationKind.REQUEST_AGREED: gettext_lazy("Somebody agrees to a request of yours"),
    NotificationKind.APPROVALS_DELEGATED: gettext_lazy("You agree in somebody's place"),
    NotificationKind.REQUEST_WAITS: gettext_lazy("A request waits for you too long"),
    NotificationKind.REQUEST_DECIDED: gettext_lazy("A request of yours is decided"),
    NotificationKind.REQUEST_WITHDRAWN: gettext_lazy("A request is withdrawn"),
    NotificationKind.KEY_ENDING: gettext_lazy("A key ends soon"),
    NotificationKind.KEY_IDLE: gettext_lazy("A key that nobody uses is disabled soon"),
    NotificationKind.KEY_DISABLED: gettext_lazy("A key was disabled, as nobody used it"),
    NotificationKind.KEY_ROTATED: gettext_lazy("A key was rotated by its age"),
    NotificationKind.GRANT_ENDING: gettext_lazy("Access to a model ends soon"),
    NotificationKind.LIMIT_ALERT: gettext_lazy("A limit fills up"),
    NotificationKind.PROPOSAL_DECIDED: gettext_lazy("A proposal of yours is decided"),
}
DELIVERIES = [
    (Delivery.AT_ONCE.value, gettext_lazy("By mail at once")),
    (Delivery.DAILY.value, gettext_lazy("In one mail a day")),
    (Delivery.PORTAL.value, gettext_lazy("On this page alone")),
]
_STATES: "dict[NotificationState, tuple[str | Promise, str]]" = {
    NotificationState.WAITING: (gettext_lazy("being mailed"), "quiet"),
    NotificationState.HANDED_OVER: (gettext_lazy("being mailed"), "quiet"),
    NotificationState.SENT: (gettext_lazy("mailed"), "ok"),
    NotificationState.UNCERTAIN: (gettext_lazy("perhaps mailed"), "warn"),
    NotificationState.FAILED: (gettext_lazy("not mailed"), "bad"),
    NotificationState.GATHERED: (gettext_lazy("in the next daily mail"), "quiet"),
    NotificationState.DIGESTED: (gettext_lazy("in a daily mail"), "ok"),
    NotificationState.KEPT: (gettext_lazy("here alone"), "quiet"),
}


@dataclass(frozen=True)
class Row:
    """A notification as the page shows it."""

    notification: Notification
    headline: Headline
    state: "str | Promise"
    pill: str


class ChoicesForm(forms.Form):
    """How the person wants to hear of each kind that is theirs to choose."""

    def __init__(self, *args: object, person: User, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        chosen = dict(
            NotificationChoice.objects.filter(person=person).values_list("kind", "delivery")
        )
        for kind in CHOSEN_KINDS:
            self.fields[kind.value] = forms.ChoiceField(
                label=str(KIND_LABELS[kind]),
                choices=DELIVERIES,
                initial=chosen.get(kind.value, Delivery.AT_ONCE.value),
            )

    def chosen(self) -> dict[NotificationKind, Delivery]:
        return {kind: Delivery(self.cleaned_data[kind.value]) for kind in CHOSEN_KINDS}


@require_http_methods(["GET", "HEAD", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """List what the person was told, the newest first, and take how they want to be told."""
    person = person_of(request)
    form = ChoicesForm(request.POST or None, person=person)
    if request.method == "POST" and form.is_valid():
        try:
            choose_deliveries(person, form.chosen(), actor=acting(person))
        except ValidationError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("From now on you are told as you chose."))
            return redirect("notifications")
    told = Notification.objects.filter(person=person).exclude(kind=NotificationKind.DIGEST)
    page = page_of(request, told.order_by("-id"))
    return render(
        request,
        "accounts/notifications.html",
        {"form": form, "page": page, "rows": [_row(one) for one in page]},
    )


def _row(notification: Notification) -> Row:
    state, pill = _STATES[NotificationState(notification.state)]
    return Row(notification, headline_of(notification), state, pill)
