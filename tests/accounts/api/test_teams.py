"""Teams and who is in them: role by operation both ways, and another team's like one that does not exist."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

from accounts.audit import COMMAND
from accounts.models import Invitation, Membership, ServiceAccount, Team
from accounts.models.teams import Role
from accounts.writes.invitations import invite
from accounts.writes.teams import disable_team
from tests.accounts.rows import REASON, new_account, new_member, new_name, new_person, new_team
from tests.accounts.sign_on_rows import new_connection
from tests.asking_api import (
    Asker,
    administrator,
    code_of,
    data_of,
    fields_of,
    member_of,
    personal_key,
)

pytestmark = pytest.mark.django_db
ROLES = [Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR]


class House:
    """A team with one of everything."""

    def __init__(self) -> None:
        self.team = new_team()
        self.owner = new_member(self.team, Role.OWNER)
        new_member(self.team, Role.OWNER)
        self.member = new_member(self.team).memberships.get()
        self.account = new_account(self.team)
        self.invitation = invite(
            self.team, email=f"{new_name('x')}@latchkey.test", role=Role.MEMBER, by=self.owner
        )

    @property
    def owners_membership(self) -> Membership:
        return Membership.objects.get(team=self.team, person=self.owner)


# Operation: (method, address, body, who may), with the house's things in {}.
OPERATIONS: dict[str, tuple[str, str, Any, set[Role]]] = {
    "read team": ("get", "teams/{slug}", None, set(ROLES)),
    "rename team": ("patch", "teams/{slug}", {"cost_centre": "1"}, {Role.OWNER}),
    "list members": ("get", "teams/{slug}/members", None, set(ROLES)),
    "read member": ("get", "members/{member}", None, set(ROLES)),
    "change role": ("patch", "members/{member}", {"role": "auditor"}, {Role.OWNER, Role.MANAGER}),
    "make owner": ("patch", "members/{member}", {"role": "owner"}, {Role.OWNER}),
    "unmake owner": ("patch", "members/{owner}", {"role": "member"}, {Role.OWNER}),
    "remove member": ("delete", "members/{member}", None, {Role.OWNER, Role.MANAGER}),
    "remove owner": ("delete", "members/{owner}", None, {Role.OWNER}),
    "leave": ("post", "teams/{slug}/leave", None, set(ROLES)),
    "list invitations": ("get", "teams/{slug}/invitations", None, {Role.OWNER, Role.MANAGER}),
    "invite": (
        "post",
        "teams/{slug}/invitations",
        {"email": "new@latchkey.test", "role": "manager"},
        {Role.OWNER, Role.MANAGER},
    ),
    "invite owner": (
        "post",
        "teams/{slug}/invitations",
        {"email": "new@latchkey.test", "role": "owner"},
        {Role.OWNER},
    ),
    "withdraw": ("delete", "invitations/{invitation}", None, {Role.OWNER, Role.MANAGER}),
    "list accounts": ("get", "teams/{slug}/service-accounts", None, set(ROLES)),
    "read account": ("get", "service-accounts/{account}", None, set(ROLES)),
    "create account": (
        "post",
        "teams/{slug}/service-accounts",
        {"name": "new"},
        {Role.OWNER, Role.MANAGER},
    ),
    "disable account": (
        "post",
        "service-accounts/{account}/disable",
        {"reason": REASON},
        {Role.OWNER, Role.MANAGER},
    ),
    "enable account": (
        "post",
        "service-accounts/{account}/enable",
        None,
        {Role.OWNER, Role.MANAGER},
    ),
    "read audit": ("get", "teams/{slug}/audit", None, {Role.OWNER, Role.MANAGER, Role.AUDITOR}),
}

# Of those, what makes or unmakes an owner or manager: whom a stolen key had made one would stay one.
BY_SIGNING_IN = {"make owner", "unmake owner", "remove owner", "invite", "invite owner"}


def address(pattern: str, house: House) -> str:
    return pattern.format(
        slug=house.team.slug,
        member=house.member.pk,
        owner=house.owners_membership.pk,
        account=house.account.pk,
        invitation=house.invitation.pk,
    )


@dataclass
class Asked:
    """A house with somebody of each role in its team and in another, made once: what each test does is taken back."""

    house: House
    members: dict[Role, Asker]
    signed_in: dict[Role, Asker]
    strangers: dict[Role, Asker]


@pytest.fixture(scope="module")
def asked(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Asked]:
    with django_db_blocker.unblock(), transaction.atomic():
        house = House()
        elsewhere = new_team()
        people = {role: new_member(house.team, role) for role in ROLES}
        yield Asked(
            house,
            {role: Asker(text=personal_key(people[role], house.team).text) for role in ROLES},
            {role: Asker(person=people[role]) for role in ROLES},
            {role: member_of(elsewhere, role) for role in ROLES},
        )
        transaction.set_rollback(True)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_role_decides_and_another_team_does_not_exist(asked: Asked, name: str, role: Role) -> None:
    method, pattern, body, who = OPERATIONS[name]
    house, stranger = asked.house, asked.strangers[role]
    path = address(pattern, house)
    nowhere = address(pattern, house).replace(house.team.slug, "no-such-team")
    reply = stranger.ask(method, path, body)
    assert code_of(reply) == "not_found"
    if nowhere != path:
        assert reply.status_code == stranger.ask(method, nowhere, body).status_code
    if name in BY_SIGNING_IN or (name == "leave" and role in (Role.OWNER, Role.MANAGER)):
        assert code_of(asked.members[role].ask(method, path, body)) == "forbidden"
        reply = asked.signed_in[role].ask(method, path, body)
    else:
        reply = asked.members[role].ask(method, path, body)
    if role in who:
        assert reply.status_code in {200, 201, 204}, reply.content
    else:
        assert code_of(reply) == "forbidden"


def test_every_operation_of_a_disabled_team_answers_as_if_it_did_not_exist() -> None:
    house = House()
    asker = Asker(person=house.owner)
    assert asker.get(f"teams/{house.team.slug}").status_code == 200
    disable_team(house.team, actor=COMMAND, reason=REASON)
    for method, pattern, body, _ in OPERATIONS.values():
        assert code_of(asker.ask(method, address(pattern, house), body)) == "not_found"


def test_nobody_gives_themselves_more() -> None:
    team = new_team()
    for role in (Role.MANAGER, Role.MEMBER, Role.AUDITOR):
        person = new_member(team, role)
        mine = person.memberships.get()
        for wanted in ROLES:
            Asker(person=person).patch(f"members/{mine.pk}", {"role": wanted})
            mine.refresh_from_db()
            assert ROLES.index(Role(mine.role)) >= ROLES.index(role)
        mine.delete()


def test_last_owner_stays() -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    path = f"members/{owner.memberships.get().pk}"
    for reply in (
        Asker(person=owner).delete(path),
        Asker(person=owner).patch(path, {"role": "member"}),
    ):
        assert fields_of(reply) == {"role"}


def test_writes_do_what_they_say() -> None:
    house = House()
    asker = Asker(person=house.owner)
    slug = house.team.slug
    made = data_of(asker.post(f"teams/{slug}/service-accounts", {"name": "app"}), 201)
    assert ServiceAccount.objects.get(pk=made["id"]).team == house.team
    reply = asker.post(f"service-accounts/{made['id']}/disable", {"reason": REASON})
    assert data_of(reply)["disabled_at"]
    assert data_of(asker.post(f"service-accounts/{made['id']}/enable"))["disabled_at"] is None
    assert (
        data_of(asker.patch(f"members/{house.member.pk}", {"role": "manager"}))["role"] == "manager"
    )
    assert asker.delete(f"members/{house.member.pk}").status_code == 204
    assert not Membership.objects.filter(pk=house.member.pk).exists()
    assert asker.delete(f"invitations/{house.invitation.pk}").status_code == 204
    assert code_of(asker.delete(f"invitations/{house.invitation.pk}")) == "not_found"
    assert Invitation.objects.get(pk=house.invitation.pk).closed_at
    assert data_of(asker.patch(f"teams/{slug}", {"name": new_name("Team")}))["slug"] == slug
    tags = [row["tag"] for row in data_of(asker.get(f"teams/{slug}/audit?limit=100"))["data"]]
    for tag in (
        "team.changed",
        "member.removed",
        "invitation.withdrawn",
        "service_account.created",
    ):
        assert tag in tags
    found = data_of(asker.get(f"teams/{slug}/audit?tag=member.removed"))["data"]
    assert [row["subject_id"] for row in found] == [str(house.member.person_id)]
    assert fields_of(asker.get(f"teams/{slug}/audit?tag=nonsense")) == {"tag"}


ADMINISTRATION = [
    ("get", "admin/people", None),
    ("post", "admin/people", {"email": "a@latchkey.test", "password": "correct horse battery"}),
    ("get", "admin/people/{person}", None),
    ("post", "admin/people/{person}/disable", {"reason": REASON}),
    ("post", "admin/people/{person}/enable", None),
    ("get", "admin/teams", None),
    ("post", "admin/teams", {"name": "A new team"}),
    ("get", "admin/teams/{team}", None),
    ("post", "admin/teams/{team}/disable", {"reason": REASON}),
    ("post", "admin/teams/{team}/enable", None),
    ("post", "admin/teams/{team}/members", {"person_id": "{person}", "role": "owner"}),
    ("get", "admin/audit", None),
]


@pytest.mark.parametrize(("method", "pattern", "body"), ADMINISTRATION)
def test_administration_is_for_administrators(method: str, pattern: str, body: Any) -> None:
    team, person = new_team(), new_person()
    path = pattern.format(team=team.pk, person=person.pk)
    if body and "person_id" in body:
        body = body | {"person_id": str(person.pk)}
    for asker in (member_of(team, Role.OWNER), Asker(person=new_member(team, Role.OWNER))):
        assert asker.ask(method, path, body).status_code == 403
    assert Asker().ask(method, path, body).status_code == 401
    reply = administrator().ask(method, path, body)
    assert reply.status_code in {200, 201}, reply.content


def test_administrator_makes_and_disables() -> None:
    chief = administrator()
    email = f"{new_name('ada')}@latchkey.test"
    body = {"email": email, "name": "Ada", "password": "correct horse battery"}
    person = data_of(chief.post("admin/people", body), 201)
    assert person["is_administrator"] is False
    assert "password" not in person
    assert fields_of(chief.post("admin/people", body)) == {"email"}
    for member in ("is_administrator", "is_staff", "is_superuser", "is_active"):
        reply = chief.post("admin/people", body | {"email": f"x{email}", member: True})
        assert fields_of(reply) == {member}
    team = data_of(chief.post("admin/teams", {"name": new_name("Team")}), 201)
    path = f"admin/teams/{team['id']}"
    reply = chief.post(f"{path}/members", {"person_id": person["id"], "role": "owner"})
    assert data_of(reply, 201)["role"] == "owner"
    assert Team.objects.get(pk=team["id"]).memberships.count() == 1
    assert data_of(chief.post(f"{path}/disable", {"reason": REASON}))["disabled_at"]
    assert data_of(chief.post(f"{path}/enable"))["disabled_at"] is None
    path = f"admin/people/{person['id']}"
    assert data_of(chief.post(f"{path}/disable", {"reason": REASON}))["is_active"] is False
    assert data_of(chief.post(f"{path}/enable"))["is_active"] is True
    found = data_of(chief.get(f"admin/people?search={email.upper()}"))["data"]
    assert [row["id"] for row in found] == [person["id"]]
    assert found[0]["sign_on_identities"] == []
    found = data_of(chief.get(f"admin/audit?team_id={team['id']}&tag=team.disabled"))["data"]
    assert len(found) == 1
    missing = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"
    for kind in ("teams", "people"):
        assert code_of(chief.get(f"admin/{kind}/{missing}")) == "not_found"
    reply = chief.post(f"admin/teams/{team['id']}/members", {"person_id": missing, "role": "owner"})
    assert fields_of(reply) == {"person_id"}


def test_person_is_found_by_the_whole_address_or_by_who_they_are_at_a_provider() -> None:
    chief, person, other = administrator(), new_person(), new_person()
    here, there = new_connection(), new_connection(issuer="https://other.latchkey.test")
    for connection, subject, whose in ((here, "a&1", person), (there, "a&1", other)):
        connection.identities.create(subject=subject, person=whose)
    there.identities.create(subject="b", person=person)

    def found(**query: str) -> list[str]:
        rows = data_of(chief.get(f"admin/people?{urlencode(query)}"))["data"]
        return [row["id"] for row in rows]

    one = [str(person.pk)]
    assert found(email=person.email.upper()) == one
    assert found(email=person.email[1:]) == found(email=f"{person.email}x") == []
    assert found(connection=here.slug, subject="a&1") == one
    assert found(connection=there.slug, subject="a&1") == [str(other.pk)]
    assert found(connection=here.slug, subject="b") == []
    assert found(connection=here.slug, subject="A&1") == []
    assert found(connection=here.slug, subject="a&1", email=other.email) == []
    for half in ({"connection": here.slug}, {"subject": "a&1"}):
        assert fields_of(chief.get(f"admin/people?{urlencode(half)}")) == {"subject"}
    told = data_of(chief.get(f"admin/people/{person.pk}"))["sign_on_identities"]
    assert {(one["connection"], one["subject"]) for one in told} == {
        (here.slug, "a&1"),
        (there.slug, "b"),
    }


def test_administrator_does_not_shut_themselves_out() -> None:
    person = new_person(is_administrator=True)
    reply = Asker(person=person).post(f"admin/people/{person.pk}/disable", {"reason": REASON})
    assert fields_of(reply) == {"request"}
