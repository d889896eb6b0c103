"""The forms of a team's limits."""

import uuid
from typing import Any, TypeVar

from django import forms
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, ServiceAccount, Team, User
from models_registry.limit_amounts import AmountField, PercentsField, entered_facts
from models_registry.limit_words import MEASURE_CHOICES, PERIOD_CHOICES
from models_registry.models import Limit, LimitPeriod
from models_registry.writes.limits import Subject
from portal.lib.clock import utc_now

# Of each kind; whatever else belongs to the team is chosen by a link on its own page.
CHOICES_MAX = 100
Row = TypeVar("Row", bound=Model)


class LimitForm(forms.Form):
    """What can be changed of a limit."""

    amount = AmountField(
        label=_("At most"),
        help_text=_("Calls or tokens in whole numbers; money in US dollars, as 50 or 0.25."),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        required=False,
        help_text=_("Of a calendar's day, week or month, as Europe/Berlin; UTC unless given."),
    )
    is_soft = forms.BooleanField(
        label=_("Soft: refuse nothing, only tell"),
        required=False,
        help_text=_("For periods of an hour or more."),
    )
    alert_percents = PercentsField(
        label=_("Alerts at percent"),
        help_text=_("As 80, 100. Owners and managers are told by mail."),
    )

    @classmethod
    def of(cls, limit: Limit, data: Any = None) -> "LimitForm":
        """The form with what the limit says now."""
        return cls(data, initial=entered_facts(limit))


class NewLimitForm(LimitForm):
    """A limit of a key, a service account or a member of the team."""

    subject = forms.ChoiceField(label=_("Of"))
    measure = forms.ChoiceField(label=_("Measure"), choices=MEASURE_CHOICES)
    period = forms.ChoiceField(
        label=_("Period"), choices=PERIOD_CHOICES, initial=LimitPeriod.CALENDAR_MONTH
    )
    field_order = ("subject", "measure", "amount", "period", "zone", "is_soft", "alert_percents")

    def __init__(self, team: Team, data: Any = None, *, of: str = "") -> None:
        """Offer what belongs to the team. of: the subject to begin with, such as "key:ID"."""
        super().__init__(data, initial={"subject": of})
        self.found: dict[str, Subject] = {}
        chosen_id = _id_in(data.get("subject", "") if data else of)
        choices = [
            (_("Service accounts"), self._accounts(team, chosen_id)),
            (_("Members"), self._members(team, chosen_id)),
            (_("API keys"), self._keys(team, chosen_id)),
        ]
        field = self.fields["subject"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(label, group) for label, group in choices if group]

    def clean_subject(self) -> Subject:
        return self.found[self.cleaned_data["subject"]]

    def _accounts(self, team: Team, chosen_id: uuid.UUID | None) -> list[tuple[str, str]]:
        accounts = ServiceAccount.objects.filter(team=team)
        return [
            self._choice(f"account:{row.pk}", row.name, Subject(service_account=row))
            for row in _first(accounts, chosen_id, "name")
        ]

    def _members(self, team: Team, chosen_id: uuid.UUID | None) -> list[tuple[str, str]]:
        members = User.objects.filter(memberships__team=team)
        return [
            self._choice(f"member:{row.pk}", row.name or row.email, Subject(team=team, person=row))
            for row in _first(members, chosen_id, "email")
        ]

    def _keys(self, team: Team, chosen_id: uuid.UUID | None) -> list[tuple[str, str]]:
        live = ApiKey.objects.filter(team=team, revoked_at=None, expires_at__gt=utc_now())
        return [
            self._choice(f"key:{row.pk}", f"{row.name} ({row})", Subject(key=row))
            for row in _first(live, chosen_id, "name")
        ]

    def _choice(self, value: str, label: str, subject: Subject) -> tuple[str, str]:
        self.found[value] = subject
        return value, label


def _first(rows: QuerySet[Row], chosen_id: uuid.UUID | None, order: str) -> list[Row]:
    """The first of the rows, and the chosen one before them where it is not among them."""
    found = list(rows.order_by(order)[:CHOICES_MAX])
    if chosen_id is None or any(row.pk == chosen_id for row in found):
        return found
    return [*rows.filter(pk=chosen_id), *found]


def _id_in(choice: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(choice.partition(":")[2])
    except ValueError:
        return None
