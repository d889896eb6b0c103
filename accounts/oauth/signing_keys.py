"""The keys that sign access tokens: made ahead of their use, published before and after it, and replaced by a task.

The key that began last signs. Its successor is published a day before it begins, so that whoever keeps our keys for some
time has it by then; what it replaced stays until the last token it signed has ended.
"""

import datetime
import json
import uuid
from itertools import pairwise
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.db import connection, transaction

from accounts.models import SigningKey
from accounts.oauth.issuer import ACCESS_TOKEN_LIFE
from accounts.ways_in.jose import VerifyingKey
from portal.lib.crypto import Sealer

ALGORITHM = "ES256"
LIFE = datetime.timedelta(days=30)
PUBLISHED_AHEAD = datetime.timedelta(days=1)
# Clocks differ, and whoever checks our tokens may be as late as this.
KEPT_AFTER = ACCESS_TOKEN_LIFE + datetime.timedelta(hours=1)
COLUMN = "accounts_signingkey.sealed_private"
_LOCK = 7_214_001


def rotate_signing_keys(*, now: datetime.datetime) -> None:
    """Make the next key in time, and drop those whose tokens have all ended. Idempotent, and safe beside itself."""
    with transaction.atomic():
        _take_turns()
        keys = list(SigningKey.objects.order_by("signs_from"))
        if not keys:
            _make(signs_from=now)
            return
        if keys[-1].signs_from + LIFE - PUBLISHED_AHEAD <= now:
            # After a pause of the task the next begins a day from now, never unpublished.
            _make(signs_from=max(keys[-1].signs_from + LIFE, now + PUBLISHED_AHEAD))
        for key, successor in pairwise(keys):
            if successor.signs_from + KEPT_AFTER <= now:
                key.delete()


def sign(claims: dict[str, Any], *, now: datetime.datetime) -> str:
    """Return the claims as a signed access token (RFC 9068)."""
    key = _current(now)
    if key is None:
        # Before the task ran for the first time. Only the first key begins unannounced: there is nothing it could break.
        rotate_signing_keys(now=now)
        key = SigningKey.objects.latest("signs_from")
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    pem = sealer.open(bytes(key.sealed_private), row=str(key.pk), column=COLUMN)
    private = load_pem_private_key(pem.encode(), password=None)
    headers = {"kid": str(key.pk), "typ": "at+jwt"}
    return jwt.encode(claims, private, algorithm=ALGORITHM, headers=headers)  # type: ignore[arg-type]


def verifying_keys() -> dict[str, VerifyingKey]:
    """Return the public keys by their ids."""
    return {
        str(key.pk): VerifyingKey(jwt.PyJWK(key.public, algorithm=ALGORITHM), (ALGORITHM,))
        for key in SigningKey.objects.all()
    }


def published_keys() -> list[dict[str, str]]:
    """Return what the JWKS says (RFC 7517): the keys of the past, the present and the future, the newest first."""
    return [
        {**key.public, "kid": str(key.pk), "use": "sig", "alg": ALGORITHM}
        for key in SigningKey.objects.order_by("-signs_from")
    ]


def _current(now: datetime.datetime) -> SigningKey | None:
    return SigningKey.objects.filter(signs_from__lte=now).order_by("-signs_from").first()


def _make(*, signs_from: datetime.datetime) -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    row = uuid.uuid4()
    sealed = Sealer(settings.LATCHKEY_SEALING_KEYS).seal(pem, row=str(row), column=COLUMN)
    return SigningKey.objects.create(
        id=row, public=public, sealed_private=sealed, signs_from=signs_from
    )


def _take_turns() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
