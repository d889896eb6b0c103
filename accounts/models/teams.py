"""Teams own everything: keys, service accounts and grants hang on exactly one, and access runs through membership."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models.disabling import Disabled, disabled_by_team_only_while_disabled
from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class Team(models.Model):
    """A team. networks, hours: from where and when its callers may call; empty for no condition. See portal.lib.hours."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    cost_centre = models.CharField(max_length=60, blank=True)
    # Members without a second factor act in the team once they have set one up.
    requires_second_factor = models.BooleanField(default=False)
    networks = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=100)
    hours = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=utc_now, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do in a team, from most to least. A custom role of the team can stand in its place."""

    OWNER = "owner"
    MANAGER = "manager"
    MEMBER = "member"
    AUDITOR = "auditor"


class Membership(models.Model):
    """A person in a team. When it goes, the person's keys of that team are revoked, and would stop working anyway.

    role: empty where a custom role of the team says what the member may do.
    """

    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, blank=True, choices=Role.choices)
    custom_role = models.ForeignKey(
        "accounts.CustomRole", models.RESTRICT, related_name="memberships", null=True, blank=True
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "person"], name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values, custom_role__isnull=True)
                | models.Q(role="", custom_role__isnull=False),
                name="membership_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.team_id}"

    @property
    def role_name(self) -> str:
        """The role as people read it."""
        return self.get_role_display() if self.custom_role is None else self.custom_role.name


class ServiceAccount(Disabled):
    """An application of a team that calls models in its own name."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="service_accounts")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    networks = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=100)
    hours = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="service_account_name_once"),
            disabled_by_team_only_while_disabled("service_account_disabled_by_team"),
        ]

    def __str__(self) -> str:
        return self.name
