"""How prices, amounts and steps are written."""

from django import template
from django.utils.translation import gettext as _

from models_registry import step_words
from models_registry.models import RequestStep

register = template.Library()
MICRO = 1_000_000


@register.filter
def usd(price_micro_usd: int) -> str:
    """The price exactly, with at least two decimals: no rounding makes a price look like another."""
    whole, part = divmod(price_micro_usd, MICRO)
    return f"${whole:,}.{f'{part:06}'.rstrip('0'):0<2}"


@register.filter
def whole(number: int) -> str:
    return f"{number:,}"


@register.filter
def who_agrees(step: RequestStep) -> str:
    return step_words.who_agrees(step)


@register.filter
def per_minute(limit: int | None) -> str:
    return (
        _("no limit of its own")
        if limit is None
        else _("%(limit)s a minute") % {"limit": f"{limit:,}"}
    )
