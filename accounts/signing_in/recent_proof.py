"""Whether whoever is signed in has proven lately, in this session, that it is still them."""

from datetime import datetime

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from accounts.second_factors import has_second_factor

PASSWORD = "password"  # noqa: S105 - a way of proving.
FACTOR = "mfa"
SIGN_ON = "sign_on"


def proved_recently(request: HttpRequest, *, now: datetime) -> bool:
    """Signing in here counts. Of whoever has a second factor, a password alone does not.

    A session that tells nothing of how it was begun proves nothing.
    """
    person = request.user
    if not isinstance(person, User):
        return False
    since = now.timestamp() - settings.LATCHKEY_RECENT_PROOF_S
    methods = {
        record["method"]
        for record in get_authentication_records(request, person)
        if since < record["at"] <= now.timestamp() and _is_proof(record)
    }
    if FACTOR in methods:
        return True
    return bool(methods) and not has_second_factor(person)


def _is_proof(record: dict[str, object]) -> bool:
    """A provider of single sign-on may have let somebody through whom it knew from this morning."""
    return record["method"] != SIGN_ON or record.get("reauthenticated") is True


def note_password(request: HttpRequest, person: User) -> None:
    """The person has given their password in this session."""
    record_authentication(request, person, method=PASSWORD, reauthenticated=True)


def note_factor(request: HttpRequest, factor: Authenticator) -> None:
    """The person has proven a second factor in this session."""
    post_authentication(request, factor, reauthenticated=True)
