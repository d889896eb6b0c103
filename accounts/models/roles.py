"""Roles as rows: what somebody may do for the whole portal, and sets of rights that an organisation names itself.

What each right and each built-in role means stands in accounts.roles.
"""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower

from accounts.models.teams import Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class PortalRole(models.TextChoices):
    """What a person can be to the whole portal, beside what they are in their teams.

    Superusers are told by `User.is_superuser`, which Django itself knows; whoever is anything else has a row.
    """

    APPROVER = "approver", "Approver"
    SECURITY = "security", "Security"
    REGISTRY_ADMIN = "registry_admin", "Registry admin"
    SUPERUSER = "superuser", "Superuser"


class CustomRole(models.Model):
    """A named set of rights: of one team, for its members, or of the portal.

    rights: values of accounts.roles.Right where it has a team, and of PortalRight where it has none.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(
        Team, models.CASCADE, related_name="custom_roles", null=True, blank=True
    )
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=500, blank=True)
    rights = ArrayField(models.CharField(max_length=40), size=40)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "team",
                Lower("name"),
                name="team_role_name_once",
                condition=models.Q(team__isnull=False),
            ),
            models.UniqueConstraint(
                Lower("name"), name="portal_role_name_once", condition=models.Q(team__isnull=True)
            ),
            models.CheckConstraint(
                condition=models.Q(rights__len__gt=0), name="custom_role_has_rights"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class _WithCustomRoles(models.Manager["PortalAssignment"]):
    """Reads each assignment with its role, as whoever asks for the one asks for the other."""

    def get_queryset(self) -> models.QuerySet["PortalAssignment"]:
        return super().get_queryset().select_related("custom_role").order_by("created_at", "id")


class PortalAssignment(models.Model):
    """A person has a role for the whole portal: a built-in one, or a custom one of the portal."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="portal_roles"
    )
    role = models.CharField(max_length=20, blank=True, choices=PortalRole.choices)
    custom_role = models.ForeignKey(
        CustomRole, models.RESTRICT, related_name="portal_assignments", null=True, blank=True
    )
    given_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    objects = _WithCustomRoles()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    role__in=[PortalRole.APPROVER, PortalRole.SECURITY, PortalRole.REGISTRY_ADMIN],
                    custom_role__isnull=True,
                )
                | models.Q(role="", custom_role__isnull=False),
                name="portal_assignment_of_one_role",
            ),
            models.UniqueConstraint(
                fields=["person", "role"], name="portal_role_once", condition=~models.Q(role="")
            ),
            models.UniqueConstraint(
                fields=["person", "custom_role"],
                name="custom_portal_role_once",
                condition=models.Q(custom_role__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.role or self.custom_role_id}"
