"""Who disabled what a team keeps, and so who may enable it again."""

from django.db import models
from django.utils.translation import gettext


class Disabled(models.Model):
    """What a team or an administrator disables.

    disabled_by: the person; None for a command on the host.
    disabled_by_team: by the team's own right, so that the team may enable it again. What does not say so, rows of before this
    was kept among them, an administrator alone enables.
    """

    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_by = models.UUIDField(null=True, editable=False)
    disabled_by_team = models.BooleanField(default=False, editable=False)

    class Meta:
        abstract = True

    @property
    def is_held_by_administrator(self) -> bool:
        """Whether it is disabled and its team may not enable it."""
        return self.disabled_at is not None and not self.disabled_by_team

    @property
    def disabled_through(self) -> str:
        """By which right it is disabled, for machines; "" while it is not."""
        if self.disabled_at is None:
            return ""
        return "team" if self.disabled_by_team else "administrator"

    @property
    def disabled_by_whom(self) -> str:
        """By which right it is disabled, for people; "" while it is not."""
        return {
            "": "",
            "team": gettext("by the team"),
            "administrator": gettext("by an administrator"),
        }[self.disabled_through]


def disabled_by_team_only_while_disabled(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=models.Q(disabled_by_team=False) | models.Q(disabled_at__isnull=False), name=name
    )
