"""Which connection speaks for whom."""

import logging
from typing import Any

from accounts.models import SignOnConnection, User

_log = logging.getLogger("latchkey.sign_on")


class SignOnRefused(Exception):
    """Nobody is let in; the text says why, for the log alone."""


def note_refusal(connection: SignOnConnection, refused: SignOnRefused) -> None:
    """Write the reason into the log, which is the one place that hears it."""
    _log.warning(
        "A single sign-on was refused.",
        extra={"connection": str(connection.pk), "reason": str(refused)},
    )


def taken_up(kept: Any, *, by: str) -> dict[str, Any]:
    """Return what a session kept of a sign-in that it has begun. by: a member that this kind alone has. Raises: SignOnRefused."""
    if not isinstance(kept, dict) or by not in kept:
        raise SignOnRefused("this session has begun nothing")
    return kept


def domain_of(email: str) -> str:
    return email.rpartition("@")[2].strip().lower()


def connection_for(email: str) -> SignOnConnection | None:
    """The connection that speaks for the address's domain, if one does."""
    return SignOnConnection.objects.filter(
        domains__contains=[domain_of(email)], is_enabled=True
    ).first()


def enforced_for(email: str) -> SignOnConnection | None:
    """The connection by which alone people of this domain sign in."""
    found = connection_for(email)
    return found if found is not None and found.is_enforced else None


def may_always_use_password(person: User) -> bool:
    """Whether it is a break-glass administrator, who signs in without any provider."""
    return person.is_break_glass and person.is_staff and person.is_superuser


def must_sign_on(person: User) -> bool:
    """Whether the person signs in through their domain's connection alone."""
    return not may_always_use_password(person) and enforced_for(person.email) is not None
