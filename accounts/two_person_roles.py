"""The changes of roles that take two people, and the ways in which a page asks for them."""

import uuid

import msgspec
from django.core.exceptions import ValidationError

from accounts.audit import Actor, acting
from accounts.models import CustomRole, Proposal, User
from accounts.models.proposals import ProposedAction
from accounts.role_choices import label_of, read_portal_role, value_of
from accounts.roles import AnyPortalRole, PortalRight, portal_rights_of
from accounts.two_person import TwoPersonAct, plug_in
from accounts.writes import custom_roles
from accounts.writes.portal_roles import give_portal_role, take_portal_role, takes_two
from accounts.writes.proposals import propose


class RoleOfPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person_id: uuid.UUID
    role: str


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str
    rights: list[PortalRight]


class WiderRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role_id: uuid.UUID
    name: str
    description: str
    rights: list[PortalRight]


def ask_to_give(person: User, *, role: AnyPortalRole, by: User, why: str) -> Proposal | None:
    """Give the role, or propose it where it takes two. Raises: as give_portal_role and propose."""
    if not takes_two(role):
        give_portal_role(person, role=role, actor=acting(by))
        return None
    facts = RoleOfPerson(person.pk, value_of(role))
    return propose(ProposedAction.GIVE_PORTAL_ROLE, facts, by=by, why=why, subject_id=person.pk)


def ask_to_take(person: User, *, role: AnyPortalRole, by: User, why: str) -> Proposal | None:
    """Take the role, or propose it where it takes two. Raises: as take_portal_role and propose."""
    if not takes_two(role):
        take_portal_role(person, role=role, actor=acting(by))
        return None
    facts = RoleOfPerson(person.pk, value_of(role))
    return propose(ProposedAction.TAKE_PORTAL_ROLE, facts, by=by, why=why, subject_id=person.pk)


def ask_to_make(
    *, name: str, description: str, rights: list[PortalRight], by: User, why: str
) -> Proposal:
    """Propose a new role of the portal. Raises: as make_portal_role and propose."""
    facts = NewRole(name, description, rights)
    return propose(ProposedAction.MAKE_PORTAL_ROLE, facts, by=by, why=why)


def ask_to_change(
    role: CustomRole,
    *,
    name: str,
    description: str,
    rights: list[PortalRight],
    by: User,
    why: str,
) -> Proposal | None:
    """Change a role of the portal, or propose it where it becomes wider. Raises: as change_portal_role and propose."""
    if set(rights) <= portal_rights_of(role):
        custom_roles.change_portal_role(
            role, name=name, description=description, rights=rights, actor=acting(by)
        )
        return None
    facts = WiderRole(role.pk, name, description, rights)
    return propose(ProposedAction.WIDEN_PORTAL_ROLE, facts, by=by, why=why, subject_id=role.pk)


def _give(facts: RoleOfPerson, actor: Actor) -> None:
    give_portal_role(_person(facts), role=read_portal_role(facts.role), actor=actor)


def _take(facts: RoleOfPerson, actor: Actor) -> None:
    take_portal_role(_person(facts), role=read_portal_role(facts.role), actor=actor)


def _make(facts: NewRole, actor: Actor) -> None:
    custom_roles.make_portal_role(
        name=facts.name, description=facts.description, rights=facts.rights, actor=actor
    )


def _widen(facts: WiderRole, actor: Actor) -> None:
    custom_roles.change_portal_role(
        _role(facts),
        name=facts.name,
        description=facts.description,
        rights=facts.rights,
        actor=actor,
    )


def _person(facts: RoleOfPerson) -> User:
    found = User.objects.filter(pk=facts.person_id).first()
    if found is None:
        raise ValidationError("This person is not there any more.")
    return found


def _role(facts: WiderRole) -> CustomRole:
    found = CustomRole.objects.filter(pk=facts.role_id, team=None).first()
    if found is None:
        raise ValidationError("This role was removed meanwhile.")
    return found


def _of_person(facts: RoleOfPerson) -> str:
    try:
        return f"{_person(facts).email}: {label_of(read_portal_role(facts.role))}"
    except ValidationError as gone:
        return " ".join(gone.messages)


def _of_role(facts: NewRole | WiderRole) -> str:
    return f"{facts.name}: {', '.join(sorted(right.value for right in facts.rights))}"


def plug_in_roles() -> None:
    """Let changes of roles be proposed."""
    right = PortalRight.MANAGE_ROLES
    for action, facts, carry_out, says in (
        (ProposedAction.GIVE_PORTAL_ROLE, RoleOfPerson, _give, _of_person),
        (ProposedAction.TAKE_PORTAL_ROLE, RoleOfPerson, _take, _of_person),
        (ProposedAction.MAKE_PORTAL_ROLE, NewRole, _make, _of_role),
        (ProposedAction.WIDEN_PORTAL_ROLE, WiderRole, _widen, _of_role),
    ):
        plug_in(TwoPersonAct(action, right, facts, carry_out, says))
