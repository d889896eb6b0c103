"""What takes two people: one proposes it, and another one confirms or refuses it."""

from django.conf import settings
from django.db import models

from portal.lib.clock import utc_now
from portal.lib.ids import new_id

WHY_MAX = 500


class ProposedAction(models.TextChoices):
    """Everything that takes two people. Which right it needs and what carries it out stands in accounts.two_person."""

    GIVE_PORTAL_ROLE = "give_portal_role", "Give a portal role"
    TAKE_PORTAL_ROLE = "take_portal_role", "Take a portal role"
    MAKE_PORTAL_ROLE = "make_portal_role", "Make a portal role"
    WIDEN_PORTAL_ROLE = "widen_portal_role", "Widen a portal role"
    REMOVE_LIMIT = "remove_limit", "Remove a limit of a model"
    SWITCH_POLICY = "switch_policy", "Weaken an approval policy"


def proposed_actions() -> list[tuple[str, str]]:
    """Return the actions as choices. A function, so that a new one needs no migration."""
    return ProposedAction.choices


class ProposalState(models.TextChoices):
    """Where a proposal stands. An open one whose time is over can be neither confirmed nor refused any more."""

    OPEN = "open", "Open"
    CONFIRMED = "confirmed", "Confirmed"
    REFUSED = "refused", "Refused"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Proposal(models.Model):
    """One act that waits for a second person, or did.

    facts: what the action needs, in the form of its own type; ids and plain values, never a secret.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    action = models.CharField(max_length=40, choices=proposed_actions)
    subject_id = models.UUIDField(null=True)
    facts = models.JSONField(default=dict)
    why = models.CharField(max_length=WHY_MAX)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="proposals"
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)
    ends_at = models.DateTimeField()

    state = models.CharField(
        max_length=10, choices=ProposalState.choices, default=ProposalState.OPEN
    )
    # Empty where it was confirmed by a command on the host.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, blank=True
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=WHY_MAX, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["ends_at"], condition=models.Q(state="open"), name="proposal_open")
        ]
        constraints = [
            # Whatever asks, nobody confirms what they proposed.
            models.CheckConstraint(
                condition=~models.Q(state="confirmed", decided_by=models.F("proposed_by")),
                name="proposal_confirmed_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} of {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def waits(self) -> bool:
        """Whether it can still be confirmed."""
        return self.state == ProposalState.OPEN and self.ends_at > utc_now()
