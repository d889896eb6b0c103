"""Following an invitation's link through HTTP, as somebody new, as who one is, and as somebody else."""

from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.links import invitation_link
from accounts.models import AuditEntry, Invitation, Team, User
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.writes.invitations import withdraw_invitation
from accounts.writes.people import disable_person
from portal.lib.clock import utc_now
from tests.accounts.rows import PASSWORD, REASON, new_person
from tests.accounts.test_invitations import new_invitation

pytestmark = pytest.mark.django_db
OPEN = "/invitations/open/"
FORM = {"name": "Ada Lovelace", "new_password1": PASSWORD, "new_password2": PASSWORD}


def path_of(invitation: Invitation, settings: Settings) -> str:
    return invitation_link(invitation).removeprefix(settings.LATCHKEY_BASE_URL)


def text_of(reply: Any) -> str:
    return str(reply.content.decode())


def test_token_is_handed_over_and_stands_in_no_address_after_it(
    client: Client, settings: Settings
) -> None:
    invitation, _ = new_invitation()
    path = path_of(invitation, settings)
    assert client.get(path)["Location"] == OPEN
    page = client.get(OPEN)
    assert path not in text_of(page)
    assert invitation.pk.hex not in text_of(page)
    assert "no-store" in page["Cache-Control"]
    assert page["Referrer-Policy"] == "same-origin"
    assert Client().get(OPEN).status_code == 404


def test_somebody_new_joins_and_is_signed_in(client: Client, settings: Settings) -> None:
    invitation, _ = new_invitation(role=Role.AUDITOR)
    client.get(path_of(invitation, settings))
    assert invitation.email in text_of(client.get(OPEN))
    reply = client.post(OPEN, FORM, follow=True)
    assert reply.redirect_chain == [(f"/teams/{invitation.team.slug}/", 302)]
    assert f"You are in the team {invitation.team.name} now." in text_of(reply)
    person = User.objects.get(email=invitation.email)
    assert invitation.team.memberships.get(person=person).role == Role.AUDITOR
    assert AuditEntry.objects.filter(tag=AuditTag.SIGNED_IN, subject_id=person.pk).exists()
    assert client.get(OPEN).status_code == 404
    assert Client().get(path_of(invitation, settings)).status_code == 404


def test_form_cannot_choose_address_role_or_team(client: Client, settings: Settings) -> None:
    invitation, _ = new_invitation()
    other, _ = new_invitation()
    client.get(path_of(invitation, settings))
    more = {"email": "eve@latchkey.test", "role": "owner", "team": str(other.team.pk)}
    more |= {"is_staff": "1", "is_superuser": "1"}
    assert client.post(OPEN, FORM | more).status_code == 302
    person = User.objects.get(email=invitation.email)
    assert (person.is_staff, person.is_superuser) == (False, False)
    membership = person.memberships.get()
    assert (membership.team, membership.role) == (invitation.team, Role.MEMBER)
    assert not User.objects.filter(email="eve@latchkey.test").exists()


def test_weak_password_is_refused_and_the_invitation_goes_on(
    client: Client, settings: Settings
) -> None:
    invitation, _ = new_invitation()
    client.get(path_of(invitation, settings))
    weak = FORM | {"new_password1": "short", "new_password2": "short"}
    reply = client.post(OPEN, weak)
    assert "errorlist" in text_of(reply)
    assert not User.objects.filter(email=invitation.email).exists()
    assert client.post(OPEN, FORM).status_code == 302


def test_person_who_is_signed_in_joins_by_a_button_alone(
    client: Client, settings: Settings
) -> None:
    person = new_person()
    invitation, _ = new_invitation(email=person.email)
    client.force_login(person)
    client.get(path_of(invitation, settings))
    assert "Join the team" in text_of(client.get(OPEN))
    assert not invitation.team.memberships.filter(person=person).exists()
    assert client.post(OPEN)["Location"] == f"/teams/{invitation.team.slug}/"
    assert invitation.team.memberships.filter(person=person).exists()


def test_person_who_is_not_signed_in_signs_in_first(client: Client, settings: Settings) -> None:
    person = new_person()
    invitation, _ = new_invitation(email=person.email)
    client.get(path_of(invitation, settings))
    page = text_of(client.get(OPEN))
    assert f"/sign-in/?next={OPEN}" in page
    assert 'name="new_password1"' not in page
    assert client.post(OPEN, FORM).status_code == 200
    assert not invitation.team.memberships.filter(person=person).exists()
    sign_in = {"username": person.email, "password": PASSWORD, "next": OPEN}
    assert client.post("/sign-in/", sign_in)["Location"] == OPEN
    assert client.post(OPEN).status_code == 302
    assert invitation.team.memberships.filter(person=person).exists()


def test_somebody_else_does_not_get_in(client: Client, settings: Settings) -> None:
    invitation, _ = new_invitation()
    client.force_login(new_person())
    client.get(path_of(invitation, settings))
    page = text_of(client.get(OPEN))
    assert "sent to another address" in page
    assert invitation.email not in page
    assert client.post(OPEN, FORM).status_code == 200
    assert invitation.team.memberships.count() == 2


@pytest.mark.parametrize("spoil", ["forged", "withdrawn", "ended", "unknown", "disabled", "junk"])
@pytest.mark.parametrize("when", ["before the first visit", "after it"])
def test_links_that_lead_nowhere_answer_alike(
    client: Client, settings: Settings, spoil: str, when: str
) -> None:
    person = new_person()
    invitation, _ = new_invitation(email=person.email)
    path = path_of(invitation, settings)
    if when == "after it":
        assert client.get(path).status_code == 302
    if spoil == "withdrawn":
        withdraw_invitation(invitation, actor=COMMAND)
    elif spoil == "ended":
        Invitation.objects.filter(pk=invitation.pk).update(ends_at=utc_now())
    elif spoil == "unknown":
        Invitation.objects.filter(pk=invitation.pk).delete()
    elif spoil == "disabled":
        disable_person(person, actor=COMMAND, reason=REASON)
    else:
        path = f"{path[:-2]}x/" if spoil == "forged" else "/invitations/%00..%2f/"
        client = Client()
        when = "before the first visit"
    if when == "before the first visit":
        client.get(path)
    reply = client.get(OPEN)
    assert reply.status_code == 404
    assert "<h1>This link leads nowhere</h1>" in text_of(reply)
    assert client.post(OPEN, FORM).status_code == 404
    assert invitation.team.memberships.count() == 2


def test_joining_needs_a_token_against_forgery(settings: Settings) -> None:
    person = new_person()
    invitation, _ = new_invitation(email=person.email)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    strict.get(path_of(invitation, settings))
    assert strict.post(OPEN).status_code == 403


def test_hostile_name_of_a_team_is_shown_as_text(client: Client, settings: Settings) -> None:
    invitation, _ = new_invitation()
    Team.objects.filter(pk=invitation.team_id).update(name="<script>alert(1)</script>")
    client.get(path_of(invitation, settings))
    assert "<script>alert" not in text_of(client.get(OPEN))
    shown = text_of(client.post(OPEN, FORM, follow=True))
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
