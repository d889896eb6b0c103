"""What stands in an address of the management API, bounded so that PostgreSQL can be asked for it."""

from django.urls import register_converter


class RowId:
    """A number that a bigint can hold."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(RowId, "row")
