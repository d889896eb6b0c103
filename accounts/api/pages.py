"""Long lists, a bounded page at a time: a cursor says after which row the next page begins.

Cursors are signed and belong to one list: what was not given out is refused, and none opens anything, as a page holds only
what the list's door lets through.
"""

from typing import Any

from django.core import signing
from django.db.models import QuerySet
from rest_framework import serializers

from accounts.api.fields import Given, QueryWhole, Taken, Text
from accounts.api.problems import Problem, ProblemCode

LIMIT = 50
LIMIT_MAX = 100


class PageQuery(Taken):
    """Which part of a list is wanted."""

    cursor = Text(required=False, max_length=500, help_text="`next` of the page before.")
    limit = QueryWhole(
        required=False, min_value=1, max_value=LIMIT_MAX, default=LIMIT, help_text="Rows of a page."
    )


def page_of(kind: type[Given], name: str) -> type[Given]:
    """Return the serializer of a page of these."""
    fields: dict[str, Any] = {
        "__doc__": "One page of a list.",
        "data": kind(many=True),
        "next": serializers.CharField(
            allow_null=True, help_text="The cursor of the next page; null at the end."
        ),
    }
    return type(name, (Given,), fields)


def take_page(
    rows: QuerySet[Any], *, by: str, of: str, asked: dict[str, Any]
) -> tuple[list[Any], str | None]:
    """Return the page that was asked for, and the cursor of the next one.

    by: a field that no two rows share, with - before it to begin with the largest.
    of: the list's name, to which its cursors belong.
    Raises: Problem invalid_cursor.
    """
    field, limit = by.removeprefix("-"), asked["limit"]
    rows = rows.order_by(by)
    if "cursor" in asked:
        after = open_cursor(asked["cursor"], of=of)
        rows = rows.filter(**{f"{field}__{'lt' if by.startswith('-') else 'gt'}": after})
    found = list(rows[: limit + 1])
    is_last = len(found) <= limit
    return found[:limit], None if is_last else make_cursor(getattr(found[limit - 1], field), of=of)


def make_cursor(after: object, *, of: str) -> str:
    """Return the cursor of the page that begins after this value."""
    return signing.dumps(str(after), salt=f"api.cursor.{of}")


def open_cursor(cursor: str, *, of: str) -> str:
    """Return the value a page of this list begins after. Raises: Problem invalid_cursor."""
    try:
        return str(signing.loads(cursor, salt=f"api.cursor.{of}"))
    except (signing.BadSignature, ValueError):
        raise Problem(ProblemCode.INVALID_CURSOR) from None
