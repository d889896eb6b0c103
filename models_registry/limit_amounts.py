"""Amounts as people enter them: money in dollars, everything else in whole numbers."""

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from models_registry.models import Limit, LimitMeasure
from models_registry.models.limits import ALERTS_MAX, AMOUNT_MAX, PERCENT_MAX

MICRO = 1_000_000
_PERCENT = re.compile(r"[0-9]{1,3}", re.ASCII)


class AmountField(forms.DecimalField):
    """An amount of a measure that another field names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_value=Decimal("0.000001"),
            max_value=Decimal(AMOUNT_MAX),
            decimal_places=6,
            **options,
        )


class PercentsField(forms.CharField):
    """Percentages, as 80, 100. Cleans to a list of whole numbers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, required=False, **options)

    def clean(self, value: object) -> Any:
        parts = str(super().clean(value)).replace(",", " ").replace("%", " ").split()
        if len(parts) > ALERTS_MAX or not all(
            _PERCENT.fullmatch(part) and 1 <= int(part) <= PERCENT_MAX for part in parts
        ):
            raise ValidationError(
                f"Name at most {ALERTS_MAX} percentages from 1 to {PERCENT_MAX}, as 80, 100."
            )
        return [int(part) for part in parts]


def budget_field() -> AmountField:
    """US dollars a month, or nothing."""
    return AmountField(
        label=gettext_lazy("Budget a month, in US dollars"),
        required=False,
        help_text=gettext_lazy("Of the team's calls of each of the models, as 50 or 0.25."),
    )


def dollars(micro_usd: int | None) -> str:
    """The amount as it would be entered."""
    return "" if micro_usd is None else f"{(Decimal(micro_usd) / MICRO).normalize():f}"


def micro_usd_of(entered: Decimal | None) -> int | None:
    return None if entered is None else counted_amount(entered, LimitMeasure.MICRO_USD)


def counted_amount(entered: Decimal, measure: str) -> int:
    """The amount as it is counted: dollars become micro-USD. Raises: ValidationError for a part of a call or a token."""
    if measure == LimitMeasure.MICRO_USD:
        entered *= MICRO
    if entered != int(entered):
        raise ValidationError({"amount": "Enter a whole number."})
    return int(entered)


def entered_facts(limit: Limit) -> dict[str, Any]:
    """What can be changed of a limit, as it would be entered."""
    amount = Decimal(limit.amount)
    if limit.measure == LimitMeasure.MICRO_USD:
        amount /= MICRO
    return {
        "amount": f"{amount:f}",
        "zone": limit.zone,
        "is_soft": limit.is_soft,
        "alert_percents": ", ".join(map(str, limit.alert_percents)),
    }


def counted_facts(values: dict[str, Any], *, measure: str) -> dict[str, Any]:
    """The same as a form cleaned it, as the writes take it. Raises: ValidationError as counted_amount does."""
    return {
        "amount": counted_amount(values["amount"], measure),
        "zone": values["zone"],
        "is_soft": values["is_soft"],
        "alert_percents": values["alert_percents"],
    }
