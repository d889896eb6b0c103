"""Keys that were found where they should not be, and the public keys of whoever reports them by signature."""

import datetime

from django.db import models

from accounts.models.keys import ApiKey
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

PLACE_MAX = 1_000
# From how long before the first report on calls are told of: who found it then may have had it for a while.
LOOKED_BACK = datetime.timedelta(days=7)
FOUND_IN_MAX = 60


class LeakReporter(models.TextChoices):
    """Who reported: GitHub by signature, or a scanner at the management API."""

    GITHUB = "github", "GitHub"
    SCANNER = "scanner"


class LeakOutcome(models.TextChoices):
    """What a report did to the key: to its old secret where that is what was found. What was over already stays as it is."""

    REVOKED = "revoked"
    OLD_SECRET_ENDED = "old_secret_ended"  # noqa: S105 - what was done to it.
    FLAGGED = "flagged"
    WAS_OVER = "was_over"


class Leak(models.Model):
    """One place in which one key was found, however often it was reported. The key's text stands nowhere in it.

    reported_by: who came with the report, where it is a person.
    found_in: what kind of place, in the reporter's words. place: its address, or whatever else names it; "" where unknown.
    place_digest: SHA-256 of reporter, place and the secret's own digest, by which a second report of the same is known.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="leaks")
    reporter = models.CharField(max_length=10, choices=LeakReporter.choices)
    reported_by = models.UUIDField(null=True)
    found_in = models.CharField(max_length=FOUND_IN_MAX, blank=True)
    place = models.CharField(max_length=PLACE_MAX, blank=True)
    place_digest = models.BinaryField(max_length=32)
    outcome = models.CharField(max_length=20, choices=LeakOutcome.choices)
    reported_at = models.DateTimeField(default=utc_now)
    last_reported_at = models.DateTimeField(default=utc_now)
    times = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "place_digest"], name="leak_place_once"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} at {self.reported_at:%Y-%m-%d %H:%M}"


class ReporterKey(models.Model):
    """A public key with which GitHub signs its reports, as a task last fetched it. identifier: what a request names it by."""

    identifier = models.CharField(max_length=200, primary_key=True)
    public = models.TextField(max_length=2_000)
    fetched_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.identifier
