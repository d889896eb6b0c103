import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis import RedisError

from proxy.usage.budget_verification import BUDGET_CHECKS
from proxy.usage.verification import CHECKS, Wrong, days_with_anything, misplaced

_EPOCH = datetime.date(1970, 1, 1)


class Command(BaseCommand):
    help = (
        "Hold the ledger to what it promises, for whole days in UTC: figures, costs, corrections, usage by hour and day,"
        " callers, partitions; and budgets now: reservations, store against ledger, unattributed use. Prints what is wrong, and exits 1 where anything is. Safe while calls are made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from", dest="first", metavar="DATE", help="The first day. Default: the ledger's."
        )
        parser.add_argument(
            "--to", dest="last", metavar="DATE", help="The last day. Default: the ledger's."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        first = _number(options["first"], default=_EPOCH)
        last = _number(options["last"], default=datetime.date.max)
        days = wrong = 0
        if (strayed := misplaced()) is not None:
            wrong += strayed.count
            self._tell("all", strayed)
        for look in BUDGET_CHECKS:
            try:
                off = look()
            except RedisError as error:
                self.stdout.write(
                    f"Budgets were not compared: {type(error).__name__} of the limits store."
                )
                break
            if off is not None:
                wrong += off.count
                self._tell("now", off)
        for day in days_with_anything(first, last):
            days += 1
            for check in CHECKS:
                if (found := check(day)) is not None:
                    wrong += found.count
                    self._tell(str(day), found)
        if wrong:
            raise CommandError(f"{wrong} things are wrong in {days} days.", returncode=1)
        self.stdout.write(f"Nothing is wrong in {days} days.")

    def _tell(self, when: str, wrong: Wrong) -> None:
        self.stdout.write(f"{when} {wrong.check}: {wrong.count} wrong")
        for example in wrong.examples:
            self.stdout.write(f"  {example}")
        if wrong.count > len(wrong.examples):
            self.stdout.write(f"  and {wrong.count - len(wrong.examples)} more")


def _number(text: str | None, *, default: datetime.date) -> int:
    """Return the day's number since 1970."""
    try:
        day = default if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no date. Write it as 2026-11-24.") from None
    return max(0, (day - _EPOCH).days)
