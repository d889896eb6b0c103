"""What can be asked of the pages of usage and of calls: every question is bounded in days."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Team
from proxy.call import CallStatus
from proxy.usage.labels import LABELS
from proxy.usage.span import Span, days_until, month_before, month_of

USAGE_DAYS_MAX = 400
CALL_DAYS_MAX = 31
EARLIEST = date(2000, 1, 1)
PRESETS = {
    "7d": _("7 days"),
    "30d": _("30 days"),
    "90d": _("90 days"),
    "month": _("This month"),
    "last-month": _("Last month"),
}


class SpanForm(forms.Form):
    """Days from and to, or a preset, and one of the person's teams. Without any it is the form's own preset.

    teams: those the person may choose from, read once.
    """

    days_max = USAGE_DAYS_MAX
    preset = "30d"

    team = forms.ChoiceField(required=False, label=_("Team"))
    first = forms.DateField(
        required=False,
        label=_("From"),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )
    last = forms.DateField(
        required=False,
        label=_("To"),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )

    def __init__(self, asked: Mapping[str, Any], *, teams: Sequence[Team], today: date) -> None:
        self._today = today
        self._teams = {team.slug: team for team in teams}
        self.chosen_preset = self._read_preset(asked)
        shown = {name: str(asked[name])[:200] for name in self.base_fields if name in asked}
        if self.chosen_preset:
            span = self._preset_span(self.chosen_preset)
            shown |= {"first": span.first.isoformat(), "last": span.last.isoformat()}
        super().__init__(shown, auto_id="ask_%s")
        choices = [(team.slug, team.name) for team in teams]
        cast("forms.ChoiceField", self.fields["team"]).choices = [("", _("All teams")), *choices]

    @property
    def span(self) -> Span:
        return Span(self.cleaned_data["first"], self.cleaned_data["last"])

    @property
    def team_id(self) -> uuid.UUID | None:
        team = self._teams.get(self.cleaned_data["team"])
        return team.pk if team else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        first, last = cleaned.get("first"), cleaned.get("last")
        if first is None or last is None:
            if not self.errors:
                raise forms.ValidationError(_("Name both days, or neither."))
            return cleaned
        if not EARLIEST <= first <= last <= date(9998, 12, 31):
            raise forms.ValidationError(_("The first day has to be before the last one."))
        if (last - first).days >= self.days_max:
            raise forms.ValidationError(
                _("These are more than %(days)s days. Choose fewer."),
                params={"days": self.days_max},
            )
        return cleaned

    def _read_preset(self, asked: Mapping[str, Any]) -> str:
        if asked.get("range") in PRESETS:
            return str(asked["range"])
        return "" if asked.get("first") or asked.get("last") else self.preset

    def _preset_span(self, preset: str) -> Span:
        if preset == "month":
            return month_of(self._today)
        if preset == "last-month":
            return month_before(self._today)
        return days_until(self._today, int(preset.removesuffix("d")))


class CallsForm(SpanForm):
    """Which calls to list: besides the days and the team, those of a model, of a key, with a status."""

    days_max = CALL_DAYS_MAX
    preset = "7d"

    model = forms.CharField(required=False, max_length=120, label=_("Model"))
    key = forms.UUIDField(required=False, label=_("Key"), widget=forms.Select)
    status = forms.ChoiceField(
        required=False,
        label=_("Status"),
        choices=[
            ("", _("Any")),
            *((status.value, label.text) for status, label in LABELS.items()),
        ],
    )

    def __init__(
        self,
        asked: Mapping[str, Any],
        *,
        teams: Sequence[Team],
        keys: Sequence[ApiKey],
        today: date,
    ) -> None:
        super().__init__(asked, teams=teams, today=today)
        choices = [(str(key.pk), f"{key.name} ({key})") for key in keys]
        chosen = self.data.get("key", "")
        if chosen and chosen not in dict(choices):
            # One of the older keys, or one that is gone, as a link names it.
            choices.append((chosen, chosen))
        cast("forms.Select", self.fields["key"].widget).choices = [("", _("Any")), *choices]

    @property
    def key_id(self) -> uuid.UUID | None:
        return cast("uuid.UUID | None", self.cleaned_data["key"])

    @property
    def status_asked(self) -> CallStatus | None:
        status = self.cleaned_data["status"]
        return CallStatus(status) if status else None
