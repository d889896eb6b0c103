"""Keep connections for single sign-on: add, change, switch, and say what groups mean."""

import uuid
from typing import Any

from cryptography import x509
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from accounts.audit import Actor, record_audit
from accounts.models import SignOnConnection, SignOnMapping, Team, User
from accounts.models.audit import AuditTag
from accounts.models.sign_on import SignOnKind
from accounts.models.teams import Role
from accounts.roles import AnyTeamRole
from accounts.single_sign_on.encryption import make_encryption_key
from accounts.writes.teams import lock_team_role, role_fact
from portal.lib.client_address import parse_address
from portal.lib.clock import utc_now
from portal.lib.crypto import Sealer
from portal.lib.origin import Origin

SECRET_COLUMN = "accounts_signonconnection.sealed_secret"  # noqa: S105 - a column.
KEY_COLUMN = "accounts_signonconnection.sealed_encryption_key"
# What may be given of a connection; its kind and its place in addresses stay.
CHANGEABLE = (
    "name",
    "issuer",
    "client_id",
    "sso_url",
    "certificate",
    "domains",
    "group_claim",
    "is_enforced",
    "is_enabled",
)


@transaction.atomic
def add_connection(
    slug: str, *, kind: SignOnKind, actor: Actor, secret: str = "", **facts: Any
) -> SignOnConnection:
    """Register an identity provider. Raises: ValidationError naming the field."""
    connection = SignOnConnection(slug=slug, kind=kind, **facts)
    _seal(connection, secret)
    _check(connection)
    connection.save()
    _record(AuditTag.SIGN_ON_ADDED, connection, actor=actor, kind=kind.value)
    return connection


@transaction.atomic
def change_connection(
    connection: SignOnConnection, *, actor: Actor, secret: str | None = None, **facts: Any
) -> None:
    """Change what is named; what is not stays. Changing nothing is not audited.

    Another issuer ends whom the old one has named. Another certificate, given by an administrator, ends that of everybody
    with a role for the portal but themselves: it says who signs for those people.

    secret: None keeps the sealed one, which is never taken to another issuer.
    Raises: ValidationError naming the field.
    """
    connection = SignOnConnection.objects.select_for_update().get(pk=connection.pk)
    changed = [
        name for name in CHANGEABLE if name in facts and getattr(connection, name) != facts[name]
    ]
    if "issuer" in changed:
        if secret is None and connection.sealed_secret is not None:
            raise ValidationError({"secret": "This is another issuer. Give the secret for it."})
        # Whom the old one has named is not whom the new one names.
        connection.identities.all().delete()
    if "certificate" in changed and actor.id is not None:
        _end_links_of_the_portals(connection, but=actor.id)
    for name in changed:
        setattr(connection, name, facts[name])
    if secret is not None:
        _seal(connection, secret)
    if not changed and secret is None:
        return
    _check(connection)
    connection.save()
    _record(
        AuditTag.SIGN_ON_CHANGED,
        connection,
        actor=actor,
        changed=changed,
        new_secret=secret is not None,
    )


def _end_links_of_the_portals(connection: SignOnConnection, *, but: uuid.UUID) -> None:
    """Whoever signs with a new certificate comes as nobody who may confirm what its giver proposes."""
    people = User.objects.filter(
        Q(is_staff=True) | Q(is_superuser=True) | Q(portal_roles__isnull=False)
    ).exclude(pk=but)
    connection.identities.filter(person__in=people).delete()


@transaction.atomic
def map_group(
    connection: SignOnConnection, *, group: str, team: Team, role: AnyTeamRole, actor: Actor
) -> SignOnMapping:
    """Say that whoever is in the group is in the team; it counts from their next sign-in.

    Raises: ValidationError, also for a custom role that is not the team's own.
    """
    mapping = SignOnMapping(connection=connection, group=group.strip(), team=team)
    if isinstance(role, Role):
        mapping.role = role
    else:
        mapping.custom_role = lock_team_role(team, role)
    mapping.full_clean()
    mapping.save()
    _record_mapping(AuditTag.SIGN_ON_GROUP_MAPPED, mapping, actor=actor)
    return mapping


@transaction.atomic
def unmap_group(mapping: SignOnMapping, *, actor: Actor) -> None:
    """The group means nothing any more; whom it brought in leaves the team at their next sign-in."""
    if SignOnMapping.objects.filter(pk=mapping.pk).delete()[0]:
        _record_mapping(AuditTag.SIGN_ON_GROUP_UNMAPPED, mapping, actor=actor)


@transaction.atomic
def replace_encryption_key(connection: SignOnConnection, *, actor: Actor) -> None:
    """Give the connection a key for encrypted assertions, in place of the one it had. Raises: ValidationError where it speaks no SAML."""
    found = SignOnConnection.objects.select_for_update().get(pk=connection.pk)
    if found.kind != SignOnKind.SAML:
        raise ValidationError("Only assertions of SAML are encrypted.")
    host = Origin.from_url(settings.LATCHKEY_BASE_URL)[0].host
    made = make_encryption_key(host, now=utc_now())
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    found.encryption_certificate = made.certificate
    found.sealed_encryption_key = sealer.seal(made.private, row=str(found.pk), column=KEY_COLUMN)
    found.save(update_fields=["encryption_certificate", "sealed_encryption_key"])
    _record(
        AuditTag.SIGN_ON_CHANGED, found, actor=actor, changed=["encryption_key"], new_secret=False
    )


@transaction.atomic
def remove_encryption_key(connection: SignOnConnection, *, actor: Actor) -> None:
    """Open no encrypted assertion any more. Removing twice does nothing more."""
    found = SignOnConnection.objects.select_for_update().get(pk=connection.pk)
    if found.sealed_encryption_key is None:
        return
    found.encryption_certificate, found.sealed_encryption_key = "", None
    found.save(update_fields=["encryption_certificate", "sealed_encryption_key"])
    _record(
        AuditTag.SIGN_ON_CHANGED, found, actor=actor, changed=["encryption_key"], new_secret=False
    )


def open_encryption_key(connection: SignOnConnection) -> str:
    """Return what opens encrypted assertions, in PEM; "" where there is none. Raises: SealBroken."""
    return _open(connection, connection.sealed_encryption_key, KEY_COLUMN)


def open_secret(connection: SignOnConnection) -> str:
    """Return what the provider knows the portal by, "" where there is none. Raises: SealBroken."""
    return _open(connection, connection.sealed_secret, SECRET_COLUMN)


def _open(connection: SignOnConnection, sealed: bytes | memoryview | None, column: str) -> str:
    if sealed is None:
        return ""
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    return sealer.open(bytes(sealed), row=str(connection.pk), column=column)


def _seal(connection: SignOnConnection, secret: str) -> None:
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    row = str(connection.pk)
    connection.sealed_secret = (
        sealer.seal(secret, row=row, column=SECRET_COLUMN) if secret else None
    )


def _check(connection: SignOnConnection) -> None:
    """Raises: ValidationError naming the field."""
    connection.full_clean()
    if not connection.domains:
        raise ValidationError({"domains": "Name the domains that it may speak for."})
    taken = (
        SignOnConnection.objects.filter(domains__overlap=connection.domains)
        .exclude(pk=connection.pk)
        .first()
    )
    if taken is not None:
        raise ValidationError({"domains": f"The connection {taken.name} has one of these domains."})
    if connection.kind == SignOnKind.OIDC:
        _check_oidc(connection)
    else:
        _check_saml(connection)


def _check_oidc(connection: SignOnConnection) -> None:
    _check_address(connection.issuer, "issuer")
    if not connection.client_id:
        raise ValidationError({"client_id": "OpenID Connect needs one."})


def _check_saml(connection: SignOnConnection) -> None:
    _check_address(connection.sso_url, "sso_url")
    try:
        x509.load_pem_x509_certificate(connection.certificate.strip().encode())
    except ValueError:
        raise ValidationError({"certificate": "This is no certificate in PEM."}) from None


def _check_address(url: str, field: str) -> None:
    try:
        origin = Origin.from_url(url)[0]
    except ValueError as error:
        raise ValidationError({field: str(error)}) from None
    address = parse_address(origin.host)
    is_here = origin.host == "localhost" or (address is not None and address.is_loopback)
    if origin.scheme != "https" and not is_here:
        raise ValidationError({field: "It has to begin with https://."})


def _record(tag: AuditTag, connection: SignOnConnection, *, actor: Actor, **facts: Any) -> None:
    record_audit(tag, actor=actor, subject_kind="sign_on", subject_id=connection.id, **facts)


def _record_mapping(tag: AuditTag, mapping: SignOnMapping, *, actor: Actor) -> None:
    record_audit(
        tag,
        actor=actor,
        subject_kind="sign_on",
        subject_id=mapping.connection_id,
        team_id=mapping.team_id,
        role=role_fact(mapping.custom_role or Role(mapping.role)),
    )
