"""Tells which reported texts are keys of ours. Junk, unknown and wrong ones take the path of the right one."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from accounts.credential import read_credential
from accounts.models import ApiKey
from portal.lib.crypto import Peppers

_NO_DIGEST = bytes(32)


@dataclass(frozen=True)
class Recognised:
    """A key that a text is the whole of, by its secret or by the one that its last rotation replaced.

    digest: of that secret, as the key's row has it.
    """

    key: ApiKey
    digest: bytes
    is_old: bool


def recognised(texts: Sequence[str]) -> list[Recognised | None]:
    """Return the key that each text is the whole of, ended and revoked ones included, or None.

    One query for all of them and two digests for each, whatever they are.
    """
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    credentials = [read_credential(text) for text in texts]
    # "" is no key's: a query is made also where nothing has the form of one.
    named = {one.public_id if one else "" for one in credentials}
    found = {key.public_id: key for key in ApiKey.objects.filter(public_id__in=named)}
    return [
        _proven(found.get(one.public_id) if one else None, text, peppers)
        for one, text in zip(credentials, texts, strict=True)
    ]


def _proven(key: ApiKey | None, text: str, peppers: Peppers) -> Recognised | None:
    # An unknown key is compared as well, so that the time taken does not tell it from a wrong one.
    new = bytes(key.digest) if key else _NO_DIGEST
    old = bytes(key.previous_digest or _NO_DIGEST) if key else _NO_DIGEST
    is_new = _fits(text, new, key.pepper_id if key else "", peppers)
    is_old = _fits(text, old, key.previous_pepper_id if key else "", peppers)
    if key is None or not (is_new or is_old):
        return None
    return Recognised(key, new if is_new else old, is_old=not is_new)


def _fits(text: str, stored: bytes, pepper_id: str, peppers: Peppers) -> bool:
    return hmac.compare_digest(stored, peppers.digest(text, pepper_id=pepper_id))
