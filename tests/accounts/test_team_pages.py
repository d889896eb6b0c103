"""The pages of a team, by every role and by strangers, through HTTP: the reply, the rows and what is shown."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoDbBlocker

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Invitation, Membership, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.roles import Right
from accounts.writes.invitations import invite
from accounts.writes.keys import issue_key
from accounts.writes.teams import disable_service_account
from tests.accounts.rows import REASON, new_account, new_member, new_name, new_team, tomorrow
from tests.accounts.test_roles import WHO_MAY

pytestmark = pytest.mark.django_db
OWNER, MANAGER, MEMBER, AUDITOR = Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7|add:7 }}"


class House:
    """One team with everything in it, and the addresses of what can be done to it."""

    def __init__(self) -> None:
        self.team = new_team()
        self.owner = new_member(self.team, OWNER)
        self.person = new_member(self.team)
        self.membership = self.team.memberships.get(person=self.person)
        self.account = new_account(self.team)
        self.disabled = new_account(self.team)
        disable_service_account(self.disabled, actor=COMMAND, reason=REASON, by_administrator=False)
        self.guest = f"{new_name('guest')}@latchkey.test"
        self.invitation = invite(self.team, email=self.guest, role=MEMBER, by=self.owner)

    @property
    def at(self) -> str:
        return f"/teams/{self.team.slug}/"

    def acts(self) -> dict[str, tuple[str, dict[str, str], Right]]:
        """Return address, form and right of everything that can be posted."""
        member, account = f"{self.at}members/{self.membership.pk}/", f"{self.at}service-accounts/"
        return {
            "invite": (
                self.at,
                {"email": f"{new_name('guest')}@latchkey.test", "role": "member"},
                Right.MANAGE_MEMBERS,
            ),
            "change role": (member, {"role": "auditor"}, Right.MANAGE_MEMBERS),
            "remove": (f"{member}remove/", {}, Right.MANAGE_MEMBERS),
            "withdraw": (
                f"{self.at}invitations/{self.invitation.pk}/withdraw/",
                {},
                Right.MANAGE_MEMBERS,
            ),
            "create account": (account, {"name": "new-app"}, Right.MANAGE_SERVICE_ACCOUNTS),
            "disable account": (
                f"{account}{self.account.pk}/disable/",
                {"reason": REASON},
                Right.MANAGE_SERVICE_ACCOUNTS,
            ),
            "enable account": (
                f"{account}{self.disabled.pk}/enable/",
                {},
                Right.MANAGE_SERVICE_ACCOUNTS,
            ),
            "rename": (
                f"{self.at}settings/",
                {"name": new_name("renamed"), "cost_centre": ""},
                Right.MANAGE_OWNERS,
            ),
        }

    def rows(self) -> list[object]:
        """Return what could have changed."""
        return [
            list(Team.objects.filter(pk=self.team.pk).values()),
            list(Membership.objects.filter(team=self.team).order_by("pk").values()),
            list(ServiceAccount.objects.filter(team=self.team).order_by("pk").values()),
            list(Invitation.objects.filter(team=self.team).order_by("pk").values()),
        ]


ACTS = (
    "invite",
    "change role",
    "remove",
    "withdraw",
    "create account",
    "disable account",
    "enable account",
    "rename",
)


@pytest.fixture(scope="module")
def house(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[House]:
    """Made once: what a test does is taken back, and a test that changes these very objects makes a house of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield House()
        transaction.set_rollback(True)


def test_every_act_is_tried() -> None:
    assert set(House().acts()) == set(ACTS)


def as_person(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def text_of(reply: Any) -> str:
    """The page as text; the test client's replies have no type of their own."""
    return str(reply.content.decode())


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("role", Role)
def test_act_is_done_by_who_may_and_by_nobody_else(house: House, role: Role, act: str) -> None:
    address, form, right = house.acts()[act]
    before = house.rows()
    for stranger in (new_member(new_team(), role), new_member(new_team(), OWNER)):
        assert as_person(stranger).post(address, form).status_code == 404
    assert Client().post(address, form)["Location"].startswith("/sign-in/")
    assert house.rows() == before
    actor = new_member(house.team, role)
    before = house.rows()
    reply = as_person(actor).post(address, form)
    if role in WHO_MAY[right]:
        assert reply.status_code == 302
        assert house.rows() != before
    else:
        assert reply.status_code == 403
        assert house.rows() == before


@pytest.mark.parametrize("act", ACTS)
def test_act_needs_a_token_against_forgery(house: House, act: str) -> None:
    address, form, _ = house.acts()[act]
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(house.owner)
    before = house.rows()
    assert strict.post(address, form).status_code == 403
    assert house.rows() == before
    token = strict.get(house.at).cookies["csrftoken"].value
    assert strict.post(address, form, headers={"x-csrftoken": token}).status_code == 302


@pytest.mark.parametrize("act", ["remove", "withdraw", "disable account", "enable account"])
def test_act_is_not_done_by_a_link(house: House, act: str) -> None:
    address = house.acts()[act][0]
    before = house.rows()
    assert as_person(house.owner).get(address).status_code == 405
    assert house.rows() == before


PAGES = {
    "": Right.SEE_TEAM,
    "service-accounts/": Right.SEE_TEAM,
    "service-accounts/{account}/": Right.SEE_TEAM,
    "members/{membership}/": Right.MANAGE_MEMBERS,
    "audit/": Right.SEE_AUDIT,
    "leave/": Right.SEE_TEAM,
    "settings/": Right.MANAGE_OWNERS,
}


@pytest.mark.parametrize("below", PAGES)
@pytest.mark.parametrize("role", Role)
def test_page_opens_to_who_may_see_it(
    house: House, role: Role, below: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    page = house.at + below.format(account=house.account.pk, membership=house.membership.pk)
    client = as_person(new_member(house.team, role))
    with django_assert_max_num_queries(12):
        reply = client.get(page)
    assert reply.status_code == (200 if role in WHO_MAY[PAGES[below]] else 403)
    assert as_person(new_member(new_team(), OWNER)).get(page).status_code == 404


def test_object_of_another_team_is_not_there_under_ones_own() -> None:
    mine, theirs = House(), House()
    client = as_person(mine.owner)
    for below in (
        f"members/{theirs.membership.pk}/",
        f"service-accounts/{theirs.account.pk}/",
        f"members/{10**30}/",
        f"service-accounts/{uuid.uuid4()}/",
    ):
        assert client.get(mine.at + below).status_code == 404
    both = new_member(mine.team, OWNER)
    theirs.team.memberships.create(person=both, role=OWNER)
    client = as_person(both)
    for below, status in (
        (f"members/{theirs.membership.pk}/remove/", 404),
        (f"service-accounts/{theirs.account.pk}/disable/", 404),
        (f"invitations/{theirs.invitation.pk}/withdraw/", 404),
    ):
        assert client.post(mine.at + below, {"reason": REASON}).status_code == status
        assert client.post(theirs.at + below, {"reason": REASON}).status_code == 302


def test_manager_is_offered_no_owners_and_takes_none() -> None:
    house = House()
    client = as_person(new_member(house.team, MANAGER))
    page = text_of(client.get(house.at))
    assert 'value="owner"' not in page
    assert f"/members/{house.team.memberships.get(person=house.owner).pk}/" not in page
    reply = client.post(house.at, {"email": "x@latchkey.test", "role": "owner"})
    assert reply.status_code == 200
    assert "owner is not one of the available choices" in text_of(reply)
    owners = house.team.memberships.get(person=house.owner)
    assert client.post(f"{house.at}members/{owners.pk}/remove/").status_code == 403
    assert 'value="owner"' in text_of(as_person(house.owner).get(house.at))


def test_last_owner_is_told_why_nothing_happens() -> None:
    house = House()
    client = as_person(house.owner)
    own = house.team.memberships.get(person=house.owner)
    page = f"{house.at}members/{own.pk}/"
    assert "only owner" in text_of(client.post(page, {"role": "member"}))
    reply = client.post(f"{page}remove/", follow=True)
    assert reply.redirect_chain == [(page, 302)]
    assert "only owner" in text_of(reply)


def test_member_sees_neither_invitations_nor_forms() -> None:
    house = House()
    page = text_of(as_person(house.person).get(house.at))
    assert house.owner.email in page
    assert house.guest not in page
    assert "Send the invitation" not in page
    assert house.guest in text_of(as_person(house.owner).get(house.at))


def test_consequence_of_removing_is_stated_and_happens() -> None:
    house = House()
    key = issue_key(
        house.team,
        holder=house.person,
        name="Own",
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    ).key
    client = as_person(house.owner)
    page = f"{house.at}members/{house.membership.pk}/"
    assert "1 live key of this person" in text_of(client.get(page))
    client.post(f"{page}remove/")
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_whoever_removes_themself_is_led_home() -> None:
    house = House()
    other = new_member(house.team, OWNER)
    own = house.team.memberships.get(person=other)
    reply = as_person(other).post(f"{house.at}members/{own.pk}/remove/")
    assert reply["Location"] == "/"


@pytest.mark.parametrize("role", [AUDITOR, MEMBER, MANAGER, OWNER])
def test_anybody_leaves_by_themself_and_reads_before_what_ends(role: Role) -> None:
    house, elsewhere = House(), new_team()
    person = new_member(house.team, role)
    elsewhere.memberships.create(person=person, role=MEMBER)
    key, other = (
        issue_key(
            team,
            holder=person,
            name="Own",
            scopes=[Scope.CHAT],
            expires_at=tomorrow(),
            actor=COMMAND,
        ).key
        for team in (house.team, elsewhere)
    )
    client = as_person(person)
    assert f"{house.at}leave/" in text_of(client.get(house.at))
    assert "1 live key of yours" in text_of(client.get(f"{house.at}leave/"))
    assert house.team.memberships.filter(person=person).exists()
    reply = client.post(f"{house.at}leave/", follow=True)
    assert reply.redirect_chain == [("/teams/", 302)]
    assert f"You have left {house.team.name}" in text_of(reply)
    assert client.get(house.at).status_code == 404
    assert client.post(f"{house.at}leave/").status_code == 404
    key.refresh_from_db()
    other.refresh_from_db()
    assert (key.revoked_at is None, other.revoked_at is None) == (False, True)
    entries = AuditEntry.objects.filter(actor_id=person.pk, team_id=house.team.pk)
    tags = list(entries.order_by("id").values_list("tag", flat=True))
    assert tags == [AuditTag.KEY_REVOKED, AuditTag.MEMBER_LEFT]


def test_last_owner_stays_and_reads_why() -> None:
    house = House()
    client = as_person(house.owner)
    reply = client.post(f"{house.at}leave/")
    assert reply.status_code == 200
    assert "only owner" in text_of(reply)
    assert house.team.memberships.filter(person=house.owner).exists()
    new_member(house.team, OWNER)
    assert client.post(f"{house.at}leave/").status_code == 302


def test_hostile_names_are_shown_as_text() -> None:
    house = House()
    client = as_person(house.owner)
    User.objects.filter(pk=house.person.pk).update(name=HOSTILE)
    Team.objects.filter(pk=house.team.pk).update(name=HOSTILE[:100])
    ServiceAccount.objects.filter(pk=house.account.pk).update(
        name=HOSTILE[:100], description=HOSTILE
    )
    form = {"reason": HOSTILE}
    client.post(f"{house.at}service-accounts/{house.account.pk}/disable/", form)
    for below in PAGES:
        at = below.format(account=house.account.pk, membership=house.membership.pk)
        page = text_of(client.get(house.at + at))
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "{{ 7|add:7 }}" in page or below in (
            "",
            "leave/",
            "settings/",
            "members/{membership}/",
        )
    assert "<script>alert" not in text_of(client.get("/teams/"))
    assert "<script>alert" not in text_of(client.get("/"))


def test_refused_form_keeps_what_was_written_and_says_what_is_wrong() -> None:
    house = House()
    client = as_person(house.owner)
    reply = client.post(house.at, {"email": house.guest.upper(), "role": "auditor"})
    page = text_of(reply)
    assert "has an open invitation" in page
    assert house.guest.upper() in page
    assert '<option value="auditor" selected>' in page
    taken = client.post(f"{house.at}service-accounts/", {"name": house.account.name})
    assert "already exists" in text_of(taken)
    other = new_team()
    renamed = client.post(f"{house.at}settings/", {"name": other.name, "cost_centre": ""})
    assert "already exists" in text_of(renamed)
    no_reason = client.post(f"{house.at}service-accounts/{house.account.pk}/disable/", {})
    assert "This field is required" in text_of(no_reason)


def test_long_lists_come_in_pages() -> None:
    house = House()
    for _ in range(51):
        new_member(house.team)
    client = as_person(house.owner)
    first, second = (text_of(client.get(f"{house.at}{query}")) for query in ("", "?page=2"))
    assert [page.count('<th scope="row">') for page in (first, second)] == [50, 3]
    assert 'href="?page=2"' in first
    for odd in ("0", "-1", "x", "99999999999999999999", "%00"):
        assert client.get(f"{house.at}?page={odd}").status_code == 200


def test_teams_page_lists_ones_own_alone() -> None:
    house, other = House(), new_team()
    page = text_of(as_person(house.person).get("/teams/"))
    assert house.team.name in page
    assert other.name not in page
    nobody = new_member(other)
    other.memberships.all().delete()
    assert "You are in no team yet" in text_of(as_person(nobody).get("/teams/"))
