"""What an administrator prepares for the proof of equal times: credentials that are refused for every reason there is."""

import datetime as dt
import secrets
import time
import uuid
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from oauth2_provider.models import set_token_value

from accounts.audit import SYSTEM
from accounts.credential import checksum, make_credential
from accounts.models import OAuthAccessToken, OAuthApplication, User
from accounts.models.keys import Scope
from accounts.oauth.access_tokens import make_access_token
from accounts.oauth.issuer import resource_of
from accounts.oauth.secrets import make_client_secret
from accounts.ways_in.proven import Door
from accounts.writes.keys import issue_key, revoke_key
from accounts.writes.oauth_clients import disable_client
from bench.quick_hash import QuickHasher
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import Signer, new_machine
from tests.accounts.rows import new_account, new_name

REASON = "A proof."
# Longer than all measurements of one question take, and within what an assertion may last.
ASSERTED_FOR_S = 1800
_STRANGER = ec.generate_private_key(ec.SECP256R1())
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


def make_refused_assertions(*, count: int) -> Pairs:
    """Return ids of OAuth clients and what is signed for them: of nobody, with a key that is not theirs, and of a disabled one."""
    signer, stranger = Signer(), Signer()
    standing, disabled = new_machine(jwks=[signer.jwk]), new_machine(jwks=[signer.jwk])
    disable_client(disabled.client, actor=SYSTEM, reason=REASON)
    ends_at = int(time.time()) + ASSERTED_FOR_S

    def signed_for(client_id: str, by: Signer) -> tuple[str, str]:
        named = {"iss": client_id, "sub": client_id, "exp": ends_at}
        return client_id, by.assertion(standing.client, **named)

    return {
        "unknown": [signed_for(str(uuid.uuid4()), stranger) for _ in range(count)],
        "unknown again": [signed_for(str(uuid.uuid4()), stranger) for _ in range(count)],
        "wrong key": [signed_for(standing.client.client_id, stranger) for _ in range(count)],
        "disabled": [signed_for(disabled.client.client_id, signer) for _ in range(count)],
    }


def make_refused_tokens(*, count: int) -> dict[str, list[str]]:
    """Return access tokens for calls: of a key that is none of ours, with a wrong signature, and revoked."""
    client, now = new_machine().client, utc_now()
    genuine = [_new_token(client, now=now) for _ in range(2 * count)]
    kid = jwt.get_unverified_header(genuine[0])["kid"]
    revoked, forged = genuine[:count], genuine[count:]
    for row in OAuthAccessToken.objects.filter(application=client)[:count]:
        row.revoke()
    return {
        "unknown": [_signed_by_stranger(one, kid=str(uuid.uuid4())) for one in forged],
        "unknown again": [_signed_by_stranger(one, kid=str(uuid.uuid4())) for one in forged],
        "wrong signature": [_signed_by_stranger(one, kid=kid) for one in forged],
        "revoked": revoked,
    }


def _new_token(client: OAuthApplication, *, now: dt.datetime) -> str:
    """Issue a token as the client would get one."""
    account, resource = client.service_account, [resource_of(Door.CALLS)]
    assert account is not None
    made = make_access_token(
        client.credential_id,
        subject=account,
        team=client.team,
        scopes=[Scope.CHAT],
        audience=resource,
        ends_at=None,
        now=now,
    )
    row = OAuthAccessToken(
        jti=made.jti,
        application=client,
        team=client.team,
        scope=Scope.CHAT,
        expires=made.expires_at,
        resource=resource,
    )
    set_token_value(row, made.text)
    row.save()
    return made.text


def _signed_by_stranger(text: str, *, kid: str) -> str:
    """The same claims for another token, under a name of a key and signed by one that is none of ours."""
    claims = jwt.decode(text, options={"verify_signature": False}) | {"jti": str(uuid.uuid4())}
    headers = {"kid": kid, "typ": "at+jwt"}
    return jwt.encode(claims, _STRANGER, algorithm="ES256", headers=headers)


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
    duty.__name__: duty
    for duty in (
        make_refused_keys,
        make_refused_clients,
        make_refused_assertions,
        make_refused_tokens,
        make_refused_people,
    )
}
