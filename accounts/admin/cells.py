"""What stands in the cells of the admin: text from outside is always escaped here, never marked as safe."""

import datetime
from dataclasses import dataclass, field

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

Cell = str | SafeString | int | None

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """Rows that belong to an object, shown below its facts.

    empty: what is said where there are none.
    more: the address of the whole list, where only its beginning stands here.
    """

    title: str
    headers: list[str]
    rows: list[list[Cell]]
    empty: str
    more: str = ""
    notes: list[str] = field(default_factory=list)


def pill(text: str, tone: str = "quiet") -> SafeString:
    """A short state. tone: ok, warn, bad or quiet."""
    return format_html('<span class="lk-pill lk-{}">{}</span>', tone, text)


def link(label: object, url: str) -> SafeString:
    return format_html('<a class="lk-link" href="{}">{}</a>', url, label)


def page_of(found: Model) -> str:
    """The address of an object's page in the admin."""
    meta = found._meta  # noqa: SLF001 - Django's own name for it.
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[found.pk])


def act_page(found: Model, act: str) -> str:
    """The address at which an act is done to an object."""
    meta = found._meta  # noqa: SLF001 - Django's own name for it.
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_act", args=[found.pk, act])


def list_of(model: type[Model], query: str = "") -> str:
    meta = model._meta  # noqa: SLF001 - Django's own name for it.
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist") + query


def link_to(found: Model | None, label: object = None) -> SafeString | str:
    """A link to the object's page, under its own name or the label."""
    return NOTHING if found is None else link(found if label is None else label, page_of(found))


def moment(at: datetime.datetime | None) -> SafeString | str:
    """A time in UTC, to the minute; the exact one stands in the title."""
    if at is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        at.isoformat(timespec="milliseconds"),
        f"{localtime(at):%Y-%m-%d %H:%M}",
    )


def text(value: str) -> SafeString | str:
    """A text of several lines, as it was written."""
    return format_html('<div class="lk-text">{}</div>', value) if value else NOTHING


def code(value: object) -> SafeString | str:
    return format_html("<code>{}</code>", value) if value not in (None, "") else NOTHING


def micro_usd(amount: int | None) -> str:
    """An amount of 1e-6 USD as dollars, with at least two places and as many as a small one needs."""
    if amount is None:
        return NOTHING
    if abs(amount) >= 1_000_000:
        return f"${amount / 1_000_000:,.2f}"
    whole_part, _, places = f"{amount / 1_000_000:.6f}".partition(".")
    return f"${whole_part}.{places.rstrip('0'):0<2}"


def whole(number: int | None) -> str:
    return NOTHING if number is None else f"{number:,}"
