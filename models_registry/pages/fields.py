"""Fields that the forms of asking and of issuing keys share."""

import datetime
import uuid
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import ServiceAccount, Team
from portal.lib.clock import utc_now

INTEGER_MAX = (1 << 31) - 1
ForWhom = tuple[Team, ServiceAccount | None]


class ForWhomField(forms.ChoiceField):
    """A team itself, or one of its service accounts, grouped by team. Cleans to (team, account or None).

    itself: how the team itself is named, with %(team)s in it.
    """

    def __init__(
        self,
        *,
        teams: Iterable[Team],
        accounts: Iterable[ServiceAccount],
        itself: str,
        **options: Any,
    ) -> None:
        self.found: dict[str, ForWhom] = {}
        groups: dict[uuid.UUID, tuple[str, list[tuple[str, str]]]] = {}
        for team in teams:
            self.found[f"team:{team.pk}"] = (team, None)
            shown = itself % {"team": team.name}
            groups[team.pk] = (team.name, [(f"team:{team.pk}", shown)])
        for account in accounts:
            self.found[f"account:{account.pk}"] = (account.team, account)
            group = groups.setdefault(account.team_id, (account.team.name, []))
            group[1].append((f"account:{account.pk}", account.name))
        super().__init__(choices=list(groups.values()), **options)

    def clean(self, value: Any) -> Any:
        return self.found[super().clean(value)]


class LastDayField(forms.DateField):
    """A day that is the last one. Cleans to its end in UTC."""

    def __init__(self, *, days_max: int, days_ahead: int, **options: Any) -> None:
        self.days_max = days_max
        today = utc_now().date()
        widget = forms.DateInput(
            format="%Y-%m-%d",
            attrs={
                "type": "date",
                "min": today.isoformat(),
                "max": (today + datetime.timedelta(days=days_max)).isoformat(),
            },
        )
        super().__init__(
            widget=widget,
            input_formats=["%Y-%m-%d"],
            initial=lambda: utc_now().date() + datetime.timedelta(days=days_ahead),
            **options,
        )

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        if day is None:
            return None
        today = utc_now().date()
        if not today <= day <= today + datetime.timedelta(days=self.days_max):
            raise ValidationError(
                _("Choose a day from today to %(days)s days ahead.") % {"days": self.days_max}
            )
        return datetime.datetime.combine(day, datetime.time(23, 59, 59), datetime.UTC)


class LimitField(forms.IntegerField):
    """A number a minute, or nothing."""

    def __init__(self, *, most: int = INTEGER_MAX, **options: Any) -> None:
        super().__init__(
            required=False,
            min_value=1,
            max_value=most,
            widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
            **options,
        )
