from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models.audit import AuditTag
from accounts.writes.networks import checked_networks
from models_registry.models import Provider
from portal.lib.crypto import Sealer
from portal.lib.origin import Origin

ELSEWHERE = (
    "This is another server, and the credential that is kept would be sent to it. "
    "Give the credential of this server, or say that it has none."
)
CREDENTIAL_COLUMN = "models_registry_provider.sealed_credential"


@transaction.atomic
def add_provider(
    name: str,
    *,
    base_url: str,
    actor: Actor,
    credential: str = "",
    is_demonstration: bool = False,
    networks: Sequence[str] = (),
) -> Provider:
    """Register a server; its credential is sealed before it is written.

    networks: CIDRs from which callers may reach its models; none means from anywhere.
    Raises: ValidationError naming the field.
    """
    provider = Provider(
        name=name,
        base_url=base_url.rstrip("/"),
        is_demonstration=is_demonstration,
        networks=checked_networks(networks),
    )
    _seal(provider, credential)
    provider.full_clean()
    provider.save()
    record_audit(
        AuditTag.PROVIDER_ADDED,
        actor=actor,
        subject_kind="provider",
        subject_id=provider.id,
        has_credential=bool(credential),
    )
    return provider


@transaction.atomic
def change_provider(
    provider: Provider,
    *,
    actor: Actor,
    base_url: str | None = None,
    credential: str | None = None,
    networks: Sequence[str] | None = None,
) -> None:
    """Point a provider elsewhere or replace its credential; what is None stays, a credential at its own server alone.

    Raises: ValidationError naming the field.
    """
    provider = Provider.objects.select_for_update().get(pk=provider.pk)
    if base_url is not None:
        keep_credential_at_home(provider, base_url=base_url, credential=credential)
        provider.base_url = base_url.rstrip("/")
    if credential is not None:
        _seal(provider, credential)
    if networks is not None:
        provider.networks = checked_networks(networks)
    provider.full_clean()
    provider.save()
    told: dict[str, Any] = {} if networks is None else {"networks": provider.networks}
    record_audit(
        AuditTag.PROVIDER_CHANGED,
        actor=actor,
        subject_kind="provider",
        subject_id=provider.id,
        new_base_url=base_url is not None,
        new_credential=credential is not None,
        **told,
    )


def keep_credential_at_home(provider: Provider, *, base_url: str, credential: str | None) -> None:
    """Refuse to send the sealed credential to another server than it was given for.

    Whoever may change an address, or holds the session of one who may, could otherwise read it there. So this is asked
    before a new address is tried, too.

    credential: None keeps the sealed one; an empty one takes it away.
    Raises: ValidationError naming the field.
    """
    if credential is not None or provider.sealed_credential is None:
        return
    try:
        new_home = Origin.from_url(base_url)[0]
    except ValueError as error:
        raise ValidationError({"base_url": str(error)}) from None
    if new_home != Origin.from_url(provider.base_url)[0]:
        raise ValidationError({"credential": ELSEWHERE})


def open_credential(provider: Provider) -> str:
    """Return the provider's credential, "" when it has none. Raises: SealBroken."""
    if provider.sealed_credential is None:
        return ""
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    return sealer.open(
        bytes(provider.sealed_credential), row=str(provider.pk), column=CREDENTIAL_COLUMN
    )


def _seal(provider: Provider, credential: str) -> None:
    if any(not 0x21 <= ord(character) <= 0x7E for character in credential):
        raise ValidationError({"credential": "A credential is printable ASCII without spaces."})
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    provider.sealed_credential = (
        sealer.seal(credential, row=str(provider.pk), column=CREDENTIAL_COLUMN)
        if credential
        else None
    )
