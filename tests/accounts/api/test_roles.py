"""Roles and proposals through the management API: what a second person is for, and what a key cannot be used for."""

import json

import pytest

from accounts.models import CustomRole, User
from accounts.models.keys import Scope
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import PortalRight, Right, portal_rights
from tests.accounts.rows import new_holder, new_member, new_person, new_portal_role, new_team
from tests.asking_api import Asker, administrator, code_of, data_of, fields_of, personal_key

pytestmark = pytest.mark.django_db
WHY = {"reason": "The help desk revokes keys."}


def test_role_is_proposed_by_one_and_given_by_another() -> None:
    one, other, person = administrator(), administrator(), new_person()
    path = f"admin/people/{person.pk}/portal-roles"
    given = data_of(one.post(path, WHY | {"role": "security"}))
    assert given["roles"] == []
    proposal = f"admin/proposals/{given['proposal']['id']}"
    assert code_of(one.post(f"{proposal}/confirm")) == "forbidden"
    assert code_of(one.post(f"{proposal}/refuse", WHY)) == "forbidden"
    assert data_of(other.post(f"{proposal}/confirm"))["state"] == "confirmed"
    assert code_of(other.post(f"{proposal}/confirm")) == "invalid_request"
    assert portal_rights(User.objects.get(pk=person.pk)) >= {PortalRight.SEE_AUDIT}
    approver = data_of(one.post(path, WHY | {"role": "approver"}))
    assert (approver["roles"], approver["proposal"]) == (["security", "approver"], None)
    taken = data_of(one.post(f"{path}/take", WHY | {"role": "approver"}))
    assert (taken["roles"], taken["proposal"]) == (["security"], None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": "superuser", "custom_role_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"},
        {"role": "administrator"},
        {"role": ["superuser"]},
        {"custom_role_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"},
        {"custom_role_id": "superuser"},
        {"role": "approver", "is_superuser": True},
    ],
)
def test_role_that_is_none_is_refused(body: dict[str, object]) -> None:
    person = new_person()
    reply = administrator().post(f"admin/people/{person.pk}/portal-roles", WHY | body)
    assert fields_of(reply)
    assert not User.objects.get(pk=person.pk).is_staff


def test_portal_role_is_made_widened_and_removed() -> None:
    one, other = administrator(), administrator()
    sent = WHY | {"name": "Help desk", "rights": ["see_people"]}
    made = data_of(one.post("admin/portal-roles", sent), 202)
    assert not CustomRole.objects.filter(name="Help desk", team=None).exists()
    data_of(other.post(f"admin/proposals/{made['id']}/confirm"))
    role = CustomRole.objects.get(name="Help desk", team=None)
    wider = sent | {"rights": ["see_people", "revoke_keys"]}
    changed = data_of(one.put(f"admin/portal-roles/{role.pk}", wider))
    assert changed["role"]["rights"] == ["see_people"]
    assert changed["proposal"]["action"] == "widen_portal_role"
    data_of(one.post(f"admin/proposals/{changed['proposal']['id']}/withdraw"))
    assert one.delete(f"admin/portal-roles/{role.pk}").status_code == 204
    # A role of a team is none of these.
    of_team = CustomRole.objects.create(team=new_team(), name="x", rights=["see_team"])
    assert code_of(one.delete(f"admin/portal-roles/{of_team.pk}")) == "not_found"


def test_key_of_a_role_administers_as_far_as_the_role_goes_and_as_long() -> None:
    team, own = new_team(), new_portal_role(PortalRight.SEE_AUDIT)
    person = new_holder(own)
    team.memberships.create(person=person, role=Role.MEMBER)
    key = Asker(text=personal_key(person, team, Scope.ADMINISTER).text)
    manages = Asker(text=personal_key(person, team, Scope.MANAGE).text)
    assert key.get("admin/audit").status_code == 200
    for path in ("admin/people", "admin/calls", "admin/portal-roles", "admin/proposals"):
        assert code_of(key.get(path)) == "forbidden", path
    assert code_of(manages.get("admin/audit")) == "scope_missing"
    me = data_of(key.get("me"))
    assert (me["is_administrator"], me["portal_rights"]) == (False, ["see_audit"])
    assert data_of(manages.get("me"))["portal_rights"] == []
    person.portal_roles.all().delete()
    assert code_of(key.get("admin/audit")) == "forbidden"


def test_key_that_administers_is_for_whoever_has_a_portal_role() -> None:
    team = new_team()
    with pytest.raises(Exception, match="administer"):
        personal_key(new_member(team, Role.OWNER), team, Scope.ADMINISTER)


def test_team_role_is_made_given_and_kept_from_growing() -> None:
    team = new_team()
    owner, manager = new_member(team, Role.OWNER), new_member(team, Role.MANAGER)
    asks = Asker(person=owner)
    rights = [Right.MANAGE_MEMBERS.value, Right.SEE_USAGE.value]
    made = data_of(asks.post(f"teams/{team.slug}/roles", {"name": "Lead", "rights": rights}), 201)
    assert made["rights"] == ["manage_members", "see_team", "see_usage"]
    member = team.memberships.get(person=new_member(team))
    path = f"members/{member.pk}"
    changed = data_of(asks.patch(path, {"custom_role_id": made["id"]}))
    assert (changed["role"], changed["role_name"]) == ("", "Lead")
    lead = Asker(person=member.person)
    assert code_of(lead.put(f"team-roles/{made['id']}", {"name": "x", "rights": rights})) == (
        "forbidden"
    )
    of_manager = team.memberships.get(person=manager).pk
    assert code_of(lead.patch(f"members/{of_manager}", {"role": "member"})) == "forbidden"
    assert code_of(lead.delete(f"members/{of_manager}")) == "forbidden"
    assert code_of(asks.delete(f"team-roles/{made['id']}")) == "invalid_request"
    outsider = Asker(person=new_member(new_team(), Role.OWNER))
    for method in ("put", "delete"):
        body = {"name": "x", "rights": rights} if method == "put" else None
        assert code_of(outsider.ask(method, f"team-roles/{made['id']}", body)) == "not_found"
    unknown = {"name": "y", "rights": ["manage_roles", "is_superuser"]}
    assert fields_of(asks.post(f"teams/{team.slug}/roles", unknown)) == {"rights.1"}


def test_proposals_are_seen_by_whoever_may_decide_on_them() -> None:
    one, person = administrator(), new_person()
    made = data_of(one.post(f"admin/people/{person.pk}/portal-roles", WHY | {"role": "security"}))
    seen = f"admin/proposals/{made['proposal']['id']}"
    registry = Asker(person=new_holder(PortalRole.REGISTRY_ADMIN))
    assert code_of(registry.get(seen)) == "not_found"
    assert code_of(registry.post(f"{seen}/confirm")) == "not_found"
    assert made["proposal"]["id"] not in json.dumps(data_of(registry.get("admin/proposals")))
    security = Asker(person=new_holder(PortalRole.SECURITY))
    assert code_of(security.get(seen)) == "forbidden"
