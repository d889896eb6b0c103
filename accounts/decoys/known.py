"""Which of the keys that are refused are decoys. Every refused key is looked at in the same way, and none is told apart by it."""

import hmac
import uuid
from dataclasses import dataclass

from django.conf import settings

from accounts.models import DecoyKey
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind
from portal.lib.crypto import Peppers

_NO_DIGEST = bytes(32)


@dataclass(frozen=True, repr=False)
class Known:
    """What proves one decoy."""

    id: uuid.UUID
    pepper_id: str
    digest: bytes


def load_decoys() -> dict[str, Known]:
    """Return every decoy that was not ended, by public id."""
    return {one.public_id: _known(one) for one in DecoyKey.objects.filter(ended_at=None)}


def find_decoy(presented: Presented) -> uuid.UUID | None:
    """Ask the database whether it is a decoy, where nothing is remembered of them."""
    found = DecoyKey.objects.filter(public_id=presented.public_id, ended_at=None).first()
    return which_decoy(presented, {} if found is None else {found.public_id: _known(found)})


def which_decoy(presented: Presented, decoys: dict[str, Known]) -> uuid.UUID | None:
    """Return the decoy that it is the whole of. One digest is made, whatever was presented."""
    if presented.kind is not CredentialKind.API_KEY:
        return None
    found = decoys.get(presented.public_id)
    digest = Peppers(settings.LATCHKEY_KEY_PEPPERS).digest(
        presented.text, pepper_id=found.pepper_id if found else ""
    )
    is_decoy = hmac.compare_digest(found.digest if found else _NO_DIGEST, digest)
    return found.id if found is not None and is_decoy else None


def _known(decoy: DecoyKey) -> Known:
    return Known(decoy.pk, decoy.pepper_id, bytes(decoy.digest))
