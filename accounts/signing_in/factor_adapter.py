"""What allauth asks of the portal about second factors. Their secrets are sealed for the person they belong to."""

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from accounts.models import User
from portal.lib.client_address import parse_address
from portal.lib.crypto import Sealer

SEALED_COLUMN = "mfa_authenticator.data"
NAME = "Latchkey"
_OWNER: ContextVar[uuid.UUID] = ContextVar("owner")


@contextmanager
def secrets_of(person: User) -> Iterator[None]:
    """Seal and open the person's secrets in this block. One that was sealed for somebody else does not open."""
    token = _OWNER.set(person.pk)
    try:
        yield
    finally:
        _OWNER.reset(token)


def relying_party_id() -> str:
    """The name that passkeys are bound to: the portal's own, whatever Host anybody sends.

    An address is no name; a portal on this machine alone is reached as localhost.
    """
    host = urlsplit(settings.LATCHKEY_BASE_URL).hostname or ""
    address = parse_address(host)
    return "localhost" if address is not None and address.is_loopback else host


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seals with the same keys as providers' credentials. Outside `secrets_of` nothing is sealed, and nothing opens."""

    def encrypt(self, text: str) -> str:
        """Raises: LookupError outside `secrets_of`."""
        sealed = _sealer().seal(text, row=str(_OWNER.get()), column=SEALED_COLUMN)
        return base64.b64encode(sealed).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """Raises: SealBroken; LookupError outside `secrets_of`."""
        sealed = base64.b64decode(encrypted_text)
        return _sealer().open(sealed, row=str(_OWNER.get()), column=SEALED_COLUMN)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": relying_party_id(), "name": NAME}

    def send_notification_mail(self, *args: object, **kwargs: object) -> None:
        """Refuse: the writes tell by the outbox."""
        raise NotImplementedError


def _sealer() -> Sealer:
    return Sealer(settings.LATCHKEY_SEALING_KEYS)
