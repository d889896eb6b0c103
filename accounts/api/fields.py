"""Fields that take exactly what the document says: a number is no text, and `"true"` is no boolean.

DRF's own fields convert, which suits a form in a page; here it would accept what no client was told of.
"""

import datetime
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.drainage import set_override
from rest_framework import serializers

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
NOT_ACCEPTED = "This is not accepted here."
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
LATEST = datetime.datetime(9000, 1, 1, tzinfo=datetime.UTC)


class Text(serializers.CharField):
    """A text. What PostgreSQL cannot hold is refused by DRF's own validators; the document says where it may be empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({} if options.get("allow_blank") else {"min_length": 1}) | options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Decimal(serializers.FloatField):
    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float) or not math.isfinite(data):
            self.fail("invalid")
        return float(data)


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=type(data).__name__)
        return data


class Moment(serializers.DateTimeField):
    """A moment with its offset; what lies beyond every calendar of ours is refused."""

    def to_internal_value(self, data: Any) -> datetime.datetime:
        if not isinstance(data, str):
            self.fail("invalid", format="2027-01-31T12:00:00Z")
        try:
            found: datetime.datetime = super().to_internal_value(data)
        except OverflowError:
            self.fail("overflow")
        if found > LATEST:
            self.fail("overflow")
        return found


class Day(serializers.DateField):
    """A day in a query, in UTC."""

    def to_internal_value(self, data: Any) -> datetime.date:
        if not isinstance(data, str) or _DAY.fullmatch(data) is None:
            self.fail("invalid", format="YYYY-MM-DD")
        found: datetime.date = super().to_internal_value(data)
        return found


class Id(serializers.UUIDField):
    def to_internal_value(self, data: Any) -> uuid.UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=type(data).__name__)
        found: uuid.UUID = super().to_internal_value(data)
        return found


class QueryWhole(serializers.IntegerField):
    """A whole number in a query, which is text."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or _WHOLE.fullmatch(data) is None:
            self.fail("invalid")
        return int(data)


class Choice(serializers.ChoiceField):
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=type(data).__name__)
        return str(super().to_internal_value(data))


class Taken(serializers.Serializer[Any]):
    """What a caller may send. A member that is not declared is refused, so that a misspelt one is not passed over."""

    names: ClassVar[set[str]] = set()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Taken.names.add(cls.__name__)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name[:60]: [NOT_ACCEPTED] for name in unknown})
        return super().to_internal_value(data)


class DisabledThrough(serializers.ChoiceField):
    """Who disabled it, by right: the team, or an administrator, who alone enables it again."""

    def __init__(self) -> None:
        super().__init__(
            choices=["", "team", "administrator"],
            help_text="Who disabled it, and so enables it again; empty while it is not disabled.",
        )


class Given(serializers.Serializer[Any]):
    """What is answered. It is read from an object and never written; the document leaves `Given` out of its name."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        set_override(cls, "component_name", cls.__name__.removesuffix("Given"))
