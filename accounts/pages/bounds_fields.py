"""The fields of from where and when, for pages and the admin."""

import datetime
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.writes.networks import NETWORKS_MAX
from portal.lib.hours import DAYS

NETWORK_LENGTH_MAX = 50
HOURS_FIELDS = ("days", "begins", "ends", "zone")
_DAY_LABELS = (
    _("Monday"),
    _("Tuesday"),
    _("Wednesday"),
    _("Thursday"),
    _("Friday"),
    _("Saturday"),
    _("Sunday"),
)


class NetworksField(forms.CharField):
    """CIDRs, one a line. Cleans to a list."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("label", _("Networks"))
        options.setdefault("help_text", _("One CIDR a line. Empty: from anywhere."))
        attributes = {"rows": 3, "spellcheck": "false", "placeholder": "10.20.0.0/16"}
        super().__init__(
            required=False,
            max_length=NETWORKS_MAX * (NETWORK_LENGTH_MAX + 2),
            widget=forms.Textarea(attrs=attributes),
            **options,
        )

    def clean(self, value: Any) -> Any:
        networks = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        if len(networks) > NETWORKS_MAX or any(len(one) > NETWORK_LENGTH_MAX for one in networks):
            raise forms.ValidationError(
                _("At most %(most)s networks, one CIDR a line."), params={"most": NETWORKS_MAX}
            )
        return networks


class EndField(forms.DateTimeField):
    """A moment in UTC, to the minute, after which it is over; none means that it does not end by itself."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("label", _("Ends"))
        options.setdefault("help_text", _("In UTC. Empty: not by itself."))
        picker = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(required=False, widget=picker, **options)


def end_given(
    given: datetime.datetime | None, *, was: datetime.datetime | None
) -> datetime.datetime | None:
    """Return the end that a form gives: the one there was, to the second, where the form says the same minute."""
    is_same = (
        given is not None and was is not None and given == was.replace(second=0, microsecond=0)
    )
    return was if is_same else given


class HoursFields(forms.Form):
    """The fields of hours; with none of them filled in there is no such condition."""

    days = forms.MultipleChoiceField(
        label=_("Days"),
        choices=list(zip(DAYS, _DAY_LABELS, strict=True)),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: at any time."),
    )
    begins = forms.CharField(
        label=_("From"), max_length=5, required=False, help_text=_("Such as 08:00.")
    )
    ends = forms.CharField(
        label=_("To"),
        max_length=5,
        required=False,
        help_text=_("Such as 18:00; 24:00 is midnight. Before the beginning: of the next day."),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        required=False,
        help_text=_("Of the IANA database, such as Europe/Berlin."),
    )


def hours_from(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The hours that the fields say, None where none is filled in. What they may not be, the write refuses."""
    said = {name: values[name] for name in HOURS_FIELDS}
    return said if any(said.values()) else None


def hours_initial(hours: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(hours or {})
