"""Invitations into a team. The link's secret is signed from the row's id and never stored."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from accounts.models.teams import Role, Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class Invitation(models.Model):
    """Somebody may join the team in this role, once, until the end.

    closed_at: when it was accepted or withdrawn; a closed one lets nobody in.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)
    ends_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, editable=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "team",
                Lower("email"),
                condition=models.Q(closed_at__isnull=True),
                name="one_open_invitation_per_team_and_address",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="invitation_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"Invitation into {self.team_id}"
