"""The outbox: what people are to be told, written in the transaction of what they are told of."""

from django.conf import settings
from django.db import models

from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class NotificationKind(models.TextChoices):
    """Everything that is told by mail; each has its templates under templates/mail/."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a kind of mail.
    REQUEST_MADE = "request_made"
    REQUEST_COMMENTED = "request_commented"
    REQUEST_DECIDED = "request_decided"
    REQUEST_WITHDRAWN = "request_withdrawn"
    KEY_ENDING = "key_ending"
    KEY_IDLE = "key_idle"
    KEY_DISABLED = "key_disabled"
    KEY_ROTATED = "key_rotated"
    GRANT_ENDING = "grant_ending"
    KEY_LEAKED = "key_leaked"
    DECOY_USED = "decoy_used"
    LIMIT_ALERT = "limit_alert"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    PROPOSAL_MADE = "proposal_made"
    PROPOSAL_DECIDED = "proposal_decided"
    REQUEST_AGREED = "request_agreed"
    DIGEST = "digest"
    REQUEST_WAITS = "request_waits"
    APPROVALS_DELEGATED = "approvals_delegated"


# What guards an account or waits for a second person is told at once, whatever somebody chose for the rest; a digest is made
# of what was chosen to be in it.
ALWAYS_AT_ONCE = frozenset(
    {
        NotificationKind.INVITATION,
        NotificationKind.PASSWORD_RESET,
        NotificationKind.KEY_LEAKED,
        NotificationKind.DECOY_USED,
        NotificationKind.SECOND_FACTOR_CHANGED,
        NotificationKind.PROPOSAL_MADE,
        NotificationKind.DIGEST,
    }
)
CHOSEN_KINDS = tuple(kind for kind in NotificationKind if kind not in ALWAYS_AT_ONCE)


class Delivery(models.TextChoices):
    """How somebody wants to hear of a kind. All of it stands on their page of notifications."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    PORTAL = "portal"


def notification_kinds() -> list[tuple[str, str]]:
    """Return the kinds as choices. A function, so that a new kind needs no migration."""
    return NotificationKind.choices


class NotificationState(models.TextChoices):
    """Where a mail stands. One whose sending was interrupted is `uncertain`: sending it by itself could send it twice.

    `gathered` waits for the day's digest, `digested` stood in one, and `kept` is shown in the portal alone.
    """

    WAITING = "waiting"
    HANDED_OVER = "handed_over"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    GATHERED = "gathered"
    DIGESTED = "digested"
    KEPT = "kept"


class Notification(models.Model):
    """One mail to one address.

    person: whom it is for; None for an invitation, which goes to an address.
    facts: ids and plain values from which the mail is written when it is sent; never a secret, a link's token included.
    once: a name that no second notification may bear, so that what is told by the clock is told once.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=30, choices=notification_kinds)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications", null=True
    )
    email = models.EmailField(max_length=254)
    facts = models.JSONField(default=dict)
    # None is no name: of rows without one there may be many.
    once = models.CharField(max_length=200, unique=True, null=True)  # noqa: DJ001

    created_at = models.DateTimeField(default=utc_now, editable=False)
    state = models.CharField(
        max_length=12, choices=NotificationState.choices, default=NotificationState.WAITING
    )
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=utc_now)
    handed_over_at = models.DateTimeField(null=True)
    fault = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(state="waiting"),
                name="notification_due",
            ),
            models.Index(
                fields=["created_at"],
                condition=models.Q(state="gathered"),
                name="notification_gathered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.created_at:%Y-%m-%d %H:%M}"


class NotificationChoice(models.Model):
    """What a person chose for a kind; without a row they are told at once."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notification_choices"
    )
    kind = models.CharField(max_length=30, choices=notification_kinds)
    delivery = models.CharField(max_length=10, choices=Delivery.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "kind"], name="notification_choice_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.delivery}"


class CaughtMail(models.Model):
    """A mail that a demonstration shows to its administrator instead of sending it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(default=utc_now, editable=False)
    to = models.EmailField(max_length=254)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField()

    class Meta:
        verbose_name = "mail of the demonstration"
        verbose_name_plural = "mail of the demonstration"

    def __str__(self) -> str:
        return self.subject
