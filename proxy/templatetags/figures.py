"""Figures as people read them. Everything is exact somewhere: what is rounded here stands whole in the CSV."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

register = template.Library()

MICRO = 1_000_000


@register.filter
def whole(value: int) -> str:
    """As 12,345."""
    return str(number_format(value, decimal_pos=0, use_l10n=True, force_grouping=True))


@register.filter
def short(value: int) -> str:
    """As 12.3k, 4M: for the axis of a chart, where room is scarce."""
    for size, sign in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0") + sign
    return str(value)


@register.filter
def usd(micro: int) -> str:
    """As $1,234.56, and small sums to the micro-dollar: $0.000123."""
    places_max = 2 if abs(micro) >= 100 * MICRO else 4 if abs(micro) >= MICRO else 6
    places = 2
    while places < places_max and micro % 10 ** (6 - places):
        places += 1
    # Rounded here, because Django cuts off.
    dollars = round(Decimal(abs(micro)) / MICRO, places)
    amount = number_format(dollars, decimal_pos=places, use_l10n=True, force_grouping=True)
    return f"{'-' if micro < 0 else ''}${amount}"


@register.filter
def usd_short(micro: int) -> str:
    """As $12, $1.5k, $0.002: for the axis of a chart."""
    if abs(micro) >= 1000 * MICRO:
        return f"${short(micro // MICRO)}"
    return f"${micro / MICRO:.6f}".rstrip("0").removesuffix(".")


@register.filter
def tail(identifier: object) -> str:
    """The end of an id, by which the eye tells ids apart: their beginnings are times and much alike."""
    return str(identifier)[-12:]


@register.filter
def duration(microseconds: int) -> str:
    """As 45 µs, 230 ms, 1.23 s, 2 min 5 s."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < MICRO:
        milliseconds = microseconds / 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
    if microseconds < 60 * MICRO:
        return f"{microseconds / MICRO:.2f} s"
    minutes, seconds = divmod(microseconds // MICRO, 60)
    return f"{minutes} min {seconds} s"
