"""Whoever a provider has named arrives: who that is here, and which teams their groups bring and take."""

import uuid
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from accounts.audit import SYSTEM, Actor, acting, record_audit
from accounts.models import (
    Membership,
    SignOnConnection,
    SignOnIdentity,
    SignOnMembership,
    Team,
    User,
)
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.roles import AnyTeamRole, has_portal_role, team_rights_of
from accounts.single_sign_on.connections import SignOnRefused, domain_of
from accounts.writes.teams import add_member, change_member_role, remove_member

NAME_MAX = 200


@dataclass(frozen=True)
class Named:
    """Whom a provider has named, proven by its signature.

    is_verified: whether it says that the address is theirs; without that an address means nothing.
    """

    subject: str
    email: str
    is_verified: bool
    name: str
    groups: frozenset[str]


@transaction.atomic
def arrive(connection: SignOnConnection, named: Named) -> User:
    """Return who this is, known, linked by a verified address or created, in the teams that the groups say.

    Whoever has a role for the portal is linked by link_person alone.
    Raises: SignOnRefused.
    """
    person = _known(connection, named) or _linked_or_created(connection, named)
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if not person.is_active:
        raise SignOnRefused("the person is disabled")
    _apply_groups(connection, person, named.groups)
    return person


def _known(connection: SignOnConnection, named: Named) -> User | None:
    if not 0 < len(named.subject) <= 500:
        raise SignOnRefused("the provider names nobody")
    found = (
        SignOnIdentity.objects.select_related("person")
        .filter(connection=connection, subject=named.subject)
        .first()
    )
    return None if found is None else found.person


def _linked_or_created(connection: SignOnConnection, named: Named) -> User:
    """An address counts where the provider has verified it and the connection owns its domain, and nowhere else."""
    email = named.email.strip().lower()
    if not named.is_verified:
        raise SignOnRefused("the address is not verified")
    if domain_of(email) not in connection.domains:
        raise SignOnRefused("the connection does not own the address's domain")
    try:
        validate_email(email)
    except ValidationError:
        raise SignOnRefused("the address is none") from None
    # Locked, so that a role that is given meanwhile sees the link, or the link the role.
    person = User.objects.select_for_update(no_key=True).filter(email=email).first()
    if person is not None and person.sign_on_identities.filter(connection=connection).exists():
        raise SignOnRefused("the address belongs to another name at this provider")
    if person is not None and has_portal_role(person):
        # One administrator says for whom a connection speaks. Were that enough to come as another, each were two people.
        raise SignOnRefused(
            f"the person has a role for the portal, and is linked on the host, as {named.subject!r}"
        )
    person = person or _created(email, named.name)
    _link(connection, named.subject, person, actor=acting(person))
    return person


@transaction.atomic
def link_person(person: User, *, connection: SignOnConnection, subject: str, actor: Actor) -> None:
    """Say that the provider's subject is this person, whatever address it names. The same again changes nothing.

    Raises: ValidationError where either has another half at this connection.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    found = connection.identities.filter(Q(subject=subject) | Q(person=person))
    if [(one.subject, one.person_id) for one in found] == [(subject, person.pk)]:
        return
    if found:
        raise ValidationError("This person or this subject is linked already at the connection.")
    _link(connection, subject, person, actor=actor)


def _link(connection: SignOnConnection, subject: str, person: User, *, actor: Actor) -> None:
    identity = SignOnIdentity(connection=connection, subject=subject, person=person)
    identity.full_clean()
    identity.save()
    record_audit(
        AuditTag.SIGN_ON_LINKED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        connection_id=str(connection.id),
    )


def _created(email: str, name: str) -> User:
    """A person without a password, who comes through the connection alone."""
    person = User(email=email, name=name.strip()[:NAME_MAX])
    person.set_unusable_password()
    person.full_clean()
    person.save()
    record_audit(
        AuditTag.PERSON_CREATED,
        actor=SYSTEM,
        subject_kind="person",
        subject_id=person.id,
        is_administrator=False,
    )
    return person


def _apply_groups(connection: SignOnConnection, person: User, groups: frozenset[str]) -> None:
    """Give, change and take what the connection gives; a membership that came otherwise stays as it is."""
    wanted = _wanted(connection, groups)
    given = {
        row.membership.team_id: row.membership
        for row in SignOnMembership.objects.filter(
            connection=connection, membership__person=person
        ).select_related("membership")
    }
    for team_id, membership in given.items():
        try:
            if team_id not in wanted:
                remove_member(membership, actor=SYSTEM)
            else:
                change_member_role(membership, role=wanted[team_id], actor=SYSTEM)
        except ValidationError:
            # The team's only owner stays until somebody else is one.
            continue
    theirs = set(Membership.objects.filter(person=person).values_list("team_id", flat=True))
    for team in Team.objects.filter(pk__in=wanted.keys() - theirs, disabled_at=None):
        membership = add_member(team, person=person, role=wanted[team.pk], actor=SYSTEM)
        SignOnMembership.objects.create(membership=membership, connection=connection)


def _wanted(connection: SignOnConnection, groups: frozenset[str]) -> dict[uuid.UUID, AnyTeamRole]:
    """The teams of these groups, each with the one of its roles that allows most."""
    found: dict[uuid.UUID, AnyTeamRole] = {}
    mappings = connection.mappings.filter(group__in=groups).select_related("custom_role")
    for mapping in mappings.order_by("custom_role__name", "pk"):
        role = mapping.custom_role or Role(mapping.role)
        best = found.get(mapping.team_id)
        if best is None or _reach(role) > _reach(best):
            found[mapping.team_id] = role
    return found


def _reach(role: AnyTeamRole) -> tuple[int, bool]:
    """How much a role allows. Of two that allow as much a built-in one comes first."""
    return len(team_rights_of(role)), isinstance(role, Role)
