import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.usage.rollup import recount_hour

DAYS_MAX = 400


class Command(BaseCommand):
    help = "Count the usage by hour again from the ledger, for whole days in UTC. Safe while calls are made."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from", dest="first", required=True, metavar="DATE", help="The first day."
        )
        parser.add_argument(
            "--to", dest="last", required=True, metavar="DATE", help="The last day."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = (_day(options[name]) for name in ("first", "last"))
        days = last - first + 1
        if not 1 <= days <= DAYS_MAX:
            raise CommandError(f"From --from to --to are {days} days. Name 1 to {DAYS_MAX}.")
        if first < 0:
            raise CommandError("No call was made before 1970.")
        counted = sum(map(recount_hour, range(first * 24, (last + 1) * 24)))
        self.stdout.write(f"Hours counted again: {counted}.")
        if counted < days * 24:
            self.stdout.write(
                f"Hours whose calls were dropped, left as they are: {days * 24 - counted}."
            )


def _day(text: str) -> int:
    """Return the day's number since 1970."""
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no date. Write it as 2026-11-24.") from None
    return (day - datetime.date(1970, 1, 1)).days
