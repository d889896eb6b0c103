"""What disabling keeps and enabling asks, alike for everything that a team or an administrator disables."""

from django.core.exceptions import ValidationError

from accounts.audit import Actor
from accounts.models.audit import ActorKind
from accounts.models.disabling import Disabled
from portal.lib.clock import utc_now

FIELDS = ("disabled_at", "disabled_by", "disabled_by_team")
HELD = "An administrator disabled this. Only an administrator enables it again."


def set_disabled(row: Disabled, *, actor: Actor, by_administrator: bool) -> bool:
    """Note by whom and by which right the row is disabled. Returns: whether that is new.

    The first disabling stands, except that an administrator takes over a team's: it would not hold against the team.
    """
    if row.is_held_by_administrator or (row.disabled_at is not None and not by_administrator):
        return False
    row.disabled_at, row.disabled_by = row.disabled_at or utc_now(), actor.id
    row.disabled_by_team = not by_administrator
    return True


def set_enabled(row: Disabled, *, actor: Actor, by_administrator: bool) -> bool:
    """Undo a disabling. Returns: whether there was one.

    by_administrator: whether the actor came through an administrator's door; a command on the host always does.
    Raises: ValidationError for a team's hand where an administrator disabled it.
    """
    if row.is_held_by_administrator and actor.kind == ActorKind.PERSON and not by_administrator:
        raise ValidationError(HELD)
    was_disabled = row.disabled_at is not None
    row.disabled_at, row.disabled_by, row.disabled_by_team = None, None, False
    return was_disabled
