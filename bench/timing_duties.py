"""What an administrator prepares for the proof of equal times: credentials that are refused for every reason there is."""

import datetime as dt
import secrets
import uuid
from collections.abc import Callable

from accounts.audit import SYSTEM
from accounts.credential import checksum, make_credential
from accounts.models.keys import Scope
from accounts.oauth.secrets import make_client_secret
from accounts.writes.keys import issue_key, revoke_key
from accounts.writes.oauth_clients import disable_client
from accounts.writes.people import disable_person
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import new_machine
from tests.accounts.rows import new_account, new_name, new_person

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


def make_refused_people(*, count: int) -> Pairs:
    """Return addresses and passwords: of nobody, of people with another password, and of people who are disabled.

    Each address stands there once, as tries are counted by it.
    """
    disabled = [new_person() for _ in range(count)]
    for one in disabled:
        disable_person(one, actor=SYSTEM, reason=REASON)
    addresses = {
        "unknown": [f"{new_name('person')}@latchkey.test" for _ in range(count)],
        "unknown again": [f"{new_name('person')}@latchkey.test" for _ in range(count)],
        "wrong password": [new_person().email for _ in range(count)],
        "disabled": [one.email for one in disabled],
    }
    return {
        kind: [(email, secrets.token_urlsafe(15)) for email in emails]
        for kind, emails in addresses.items()
    }


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty for duty in (make_refused_keys, make_refused_clients, make_refused_people)
}
