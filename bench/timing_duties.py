"""What an administrator prepares for the proof of equal times: credentials that are refused for every reason there is."""

import datetime as dt
import secrets
import uuid
from collections.abc import Callable

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from accounts.audit import SYSTEM
from accounts.credential import checksum, make_credential
from accounts.models import User
from accounts.models.keys import Scope
from accounts.oauth.secrets import make_client_secret
from accounts.writes.keys import issue_key, revoke_key
from accounts.writes.oauth_clients import disable_client
from bench.quick_hash import QuickHasher
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import new_machine
from tests.accounts.rows import new_account, new_name

REASON = "A proof."
Pairs = dict[str, list[tuple[str, str]]]


def make_refused_keys(*, count: int) -> dict[str, list[str]]:
    """Return texts of keys, each refused once: unknown, with another's secret, and revoked."""
    account = new_account()
    issued = [
        issue_key(
            account.team,
            holder=account,
            name=f"Key {number}",
            scopes=[Scope.CHAT],
            expires_at=utc_now() + dt.timedelta(days=1),
            actor=SYSTEM,
        )
        for number in range(count + 1)
    ]
    standing, *ended = issued
    for one in ended:
        revoke_key(one.key, actor=SYSTEM, reason=REASON)
    return {
        "unknown": [make_credential().text for _ in range(count)],
        "unknown again": [make_credential().text for _ in range(count)],
        "wrong secret": [_wrong_secret_of(standing.text) for _ in range(count)],
        "revoked": [one.text for one in ended],
    }


def _wrong_secret_of(text: str) -> str:
    """The same public id and another secret, whose checksum is right."""
    forged = text[:16] + make_credential().text[16:-6]
    return forged + checksum(forged)


def make_refused_clients(*, count: int) -> Pairs:
    """Return ids and secrets of OAuth clients: unknown, with a wrong secret, and disabled with the right one."""
    standing, disabled = new_machine(), new_machine()
    disable_client(disabled.client, actor=SYSTEM, reason=REASON)
    return {
        "unknown": [(str(uuid.uuid4()), make_client_secret()) for _ in range(count)],
        "unknown again": [(str(uuid.uuid4()), make_client_secret()) for _ in range(count)],
        "wrong secret": [(standing.client.client_id, make_client_secret()) for _ in range(count)],
        "disabled": [(disabled.client.client_id, disabled.secret)] * count,
    }


def make_refused_people(*, count: int, is_quick: bool) -> Pairs:
    """Return addresses and passwords: of nobody, of people with another password, and the right one of people who are disabled.

    Each address stands there once, as tries are counted by it. is_quick: for the gateway that hashes with few rounds.
    """
    password = secrets.token_urlsafe(15)
    hasher = QuickHasher() if is_quick else PBKDF2PasswordHasher()
    # One hash for all of them: what it is of does not change what it costs.
    kept = hasher.encode(password, hasher.salt())
    standing, disabled = _new_people(count, kept), _new_people(count, kept, is_active=False)

    def wrong(emails: list[str]) -> list[tuple[str, str]]:
        return [(email, secrets.token_urlsafe(15)) for email in emails]

    return {
        "unknown": wrong([_new_address() for _ in range(count)]),
        "unknown again": wrong([_new_address() for _ in range(count)]),
        "wrong password": wrong(standing),
        "disabled": [(email, password) for email in disabled],
    }


def _new_people(count: int, kept: str, *, is_active: bool = True) -> list[str]:
    """Return the addresses of people whose password is kept as this."""
    made = [User(email=_new_address(), password=kept, is_active=is_active) for _ in range(count)]
    return [one.email for one in User.objects.bulk_create(made)]


def _new_address() -> str:
    return f"{new_name('person')}@latchkey.test"


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty for duty in (make_refused_keys, make_refused_clients, make_refused_people)
}
