"""Where somebody is signed in is listed, and ended one by one or all at once."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import AuditEntry, User
from accounts.models.audit import AuditTag
from accounts.writes.people import disable_person
from tests.accounts.rows import PASSWORD, REASON, new_person

pytestmark = pytest.mark.django_db
ANOTHER = "quite another passphrase"


def signed_in(person: User, *, agent: str = "Browser/1", address: str = "192.0.2.7") -> Client:
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    reply = client.post("/sign-in/", {"username": person.email, "password": PASSWORD})
    assert reply.status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return "Sign out" in client.get("/").content.decode()


def test_sessions_are_listed_with_address_and_agent_and_this_one_marked() -> None:
    person = new_person()
    here = signed_in(person, agent="Here/1")
    signed_in(person, agent="<b>There</b>", address="2001:db8::7")
    signed_in(new_person(), agent="Others/1")
    page = here.get("/security/").content.decode()
    assert "Here/1" in page
    assert "2001:db8::7" in page
    assert "&lt;b&gt;There" in page
    assert "Others/1" not in page
    assert page.count("this one") == 1


def test_one_session_is_ended_and_the_others_go_on() -> None:
    person = new_person()
    here, there, elsewhere = (signed_in(person) for _ in range(3))
    row = UserSession.objects.get(session_key=there.session.session_key)
    here.post(reverse("session-end", args=[row.pk]))
    assert [is_signed_in(client) for client in (here, there, elsewhere)] == [True, False, True]
    entry = AuditEntry.objects.get(tag=AuditTag.SESSIONS_ENDED, subject_id=person.pk)
    assert (entry.actor_id, entry.facts) == (person.pk, {"ended": 1})
    own = UserSession.objects.get(session_key=here.session.session_key)
    here.post(reverse("session-end", args=[own.pk]))
    assert not is_signed_in(here)


def test_all_others_are_ended_at_once() -> None:
    person, other = new_person(), new_person()
    here, there, elsewhere = (signed_in(person) for _ in range(3))
    theirs = signed_in(other)
    here.post(reverse("sessions-end"))
    told = [is_signed_in(client) for client in (here, there, elsewhere, theirs)]
    assert told == [True, False, False, True]


def test_session_of_somebody_else_is_not_there_to_end() -> None:
    person, thief = new_person(), new_person()
    theirs = signed_in(person)
    row = UserSession.objects.get(user=person)
    assert signed_in(thief).post(reverse("session-end", args=[row.pk])).status_code == 404
    assert is_signed_in(theirs)


def test_new_password_ends_the_other_sessions_and_their_rows() -> None:
    person = new_person()
    here, there = signed_in(person), signed_in(person)
    form = {"old_password": PASSWORD, "new_password1": ANOTHER, "new_password2": ANOTHER}
    assert here.post("/password/", form).status_code == 302
    assert [is_signed_in(client) for client in (here, there)] == [True, False]
    page = here.get("/security/").content.decode()
    assert page.count("192.0.2.7</strong>") == 1
    assert "this one" in page


def test_disabled_person_is_signed_out_everywhere_at_once() -> None:
    person = new_person()
    sessions = [signed_in(person), signed_in(person)]
    disable_person(person, actor=COMMAND, reason=REASON)
    assert not any(is_signed_in(client) for client in sessions)
    assert not UserSession.objects.filter(user=person).exists()


def test_signing_out_leaves_no_session_in_the_list() -> None:
    person = new_person()
    signed_in(person).post("/sign-out/")
    assert not UserSession.objects.filter(user=person).exists()
