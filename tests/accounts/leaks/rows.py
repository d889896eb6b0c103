"""A place in which a key was found, written straight into its table: the key stays as it was."""

from accounts.models import ApiKey, Leak
from accounts.models.leaks import LeakOutcome, LeakReporter


def new_leak(key: ApiKey, place: str = "https://git.corp.example/.env") -> Leak:
    return Leak.objects.create(
        key=key,
        reporter=LeakReporter.SCANNER,
        found_in=place[:60],
        place=place,
        place_digest=bytes(32),
        outcome=LeakOutcome.FLAGGED,
    )
