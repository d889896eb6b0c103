"""Who may ask the management API, and what everybody else reads."""

import json
import re
from urllib.parse import urlsplit

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.credential import make_credential
from accounts.models import KeyUse
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.oauth.issuer import resource_of
from accounts.ways_in.proven import Door
from accounts.writes.keys import revoke_key
from accounts.writes.people import disable_person
from accounts.writes.teams import add_member, disable_team, remove_member
from tests.accounts.rows import REASON, new_key, new_member, new_person, new_team
from tests.asking_api import Asker, administrator, code_of, data_of, member_of, personal_key

pytestmark = pytest.mark.django_db
KEYS_TEXT = "lk_"


def test_stranger_is_told_to_come_with_something() -> None:
    reply = Asker().get("me")
    assert code_of(reply) == "missing_credential"
    assert reply.status_code == 401
    described = re.fullmatch(r'Bearer resource_metadata="([^"]+)"', reply["WWW-Authenticate"])
    assert described
    found = Client().get(urlsplit(described[1]).path).json()
    assert found["resource"] == resource_of(Door.MANAGEMENT)


@pytest.mark.parametrize("carrier", ["Authorization", "x-api-key"])
def test_key_opens_by_either_header_and_is_noted_as_used(carrier: str) -> None:
    team = new_team()
    person = new_member(team)
    issued = personal_key(person, team)
    value = f"Bearer {issued.text}" if carrier == "Authorization" else issued.text
    asker = Asker(headers={carrier: value})
    found = data_of(asker.get("me"))
    assert found["id"] == str(person.pk)
    assert found["key"]["public_id"] == issued.key.public_id
    assert issued.text not in json.dumps(found)
    assert KeyUse.objects.get(key=issued.key).last_peer == asker.address


def test_two_headers_have_to_agree() -> None:
    team = new_team()
    person = new_member(team)
    one, other = personal_key(person, team).text, personal_key(person, team).text
    both = {"Authorization": f"Bearer {one}", "x-api-key": one}
    assert Asker(headers=both).get("me").status_code == 200
    assert code_of(Asker(headers=both | {"x-api-key": other}).get("me")) == "invalid_credential"


@pytest.mark.parametrize("place", ["?key={}", "?api_key={}", "?x-api-key={}", "?access_token={}"])
def test_key_in_a_query_opens_nothing(place: str) -> None:
    team = new_team()
    issued = personal_key(new_member(team), team)
    assert code_of(Asker().get("me" + place.format(issued.text))) == "missing_credential"


def spoilt(how: str) -> str:
    team = new_team()
    person = new_member(team)
    issued = personal_key(person, team)
    match how:
        case "unknown":
            return make_credential().text
        case "junk":
            return "not a key"
        case "empty":
            return ""
        case "revoked":
            revoke_key(issued.key, actor=COMMAND, reason=REASON)
        case "left":
            remove_member(person.memberships.get(), actor=COMMAND)
        case "disabled person":
            disable_person(person, actor=COMMAND, reason=REASON)
        case "disabled team":
            disable_team(team, actor=COMMAND, reason=REASON)
        case "wrong":
            other = make_credential()
            type(issued.key).objects.filter(pk=issued.key.pk).update(public_id=other.public_id)
            return other.text
    return issued.text


HOW = [
    "unknown",
    "junk",
    "empty",
    "revoked",
    "left",
    "disabled person",
    "disabled team",
    "wrong",
]


@pytest.mark.parametrize("how", HOW)
def test_key_that_does_not_stand_reads_the_same_words(how: str) -> None:
    assert Asker(text=spoilt("nothing")).get("me").status_code == 200
    reply = Asker(headers={"Authorization": f"Bearer {spoilt(how)}"}).get("me")
    assert reply.status_code == 401
    unknown = Asker(text=make_credential().text).get("me")
    told = [json.loads(one.content) | {"instance": ""} for one in (reply, unknown)]
    assert told[0] == told[1]
    assert reply["WWW-Authenticate"] == unknown["WWW-Authenticate"]
    assert reply["WWW-Authenticate"].endswith(', error="invalid_token"')


def test_bad_key_is_not_saved_by_the_session_it_came_with() -> None:
    person = new_person()
    assert Asker(person=person).get("me").status_code == 200
    asker = Asker(person=person)
    asker.headers = {"Authorization": f"Bearer {make_credential().text}"}
    assert code_of(asker.get("me")) == "invalid_credential"


def test_key_is_held_to_its_networks_by_the_true_peer(settings: Settings) -> None:
    team = new_team()
    person = new_member(team)
    issued = personal_key(person, team, networks=["192.0.2.0/24"])
    inside, outside = Asker(text=issued.text), Asker(text=issued.text)
    inside.address = "192.0.2.7"
    assert inside.get("me").status_code == 200
    reply = outside.get("me", X_Forwarded_For="192.0.2.7", X_Real_IP="192.0.2.7")
    assert code_of(reply) == "address_not_allowed"
    settings.LATCHKEY_TRUSTED_HOPS = 1
    assert outside.get("me", X_Forwarded_For="198.51.100.1, 192.0.2.7").status_code == 200
    assert outside.get("me", X_Forwarded_For="192.0.2.7, 198.51.100.1").status_code == 403


def test_key_needs_the_scope() -> None:
    team = new_team()
    person = new_member(team)
    chat = Asker(text=personal_key(person, team, Scope.CHAT).text)
    reply = chat.get("me")
    assert code_of(reply) == "scope_missing"
    assert reply["WWW-Authenticate"].endswith(', error="insufficient_scope"')
    assert code_of(Asker(text=new_key().text).get("me")) == "scope_missing"
    assert Asker(text=personal_key(person, team, Scope.CHAT, Scope.MANAGE).text).get("me")


def test_key_acts_in_its_team_alone_and_the_session_in_all() -> None:
    team, other = new_team(), new_team()
    person = new_member(team, Role.OWNER)
    add_member(other, person=person, role=Role.OWNER, actor=COMMAND)
    by_key = Asker(text=personal_key(person, team).text)
    by_session = Asker(person=person)
    for asker, seen in ((by_key, {team.slug}), (by_session, {team.slug, other.slug})):
        assert {row["slug"] for row in data_of(asker.get("me"))["teams"]} == seen
        assert {row["slug"] for row in data_of(asker.get("teams"))["data"]} == seen
    for path in ("", "/members", "/service-accounts", "/audit"):
        assert by_session.get(f"teams/{other.slug}{path}").status_code == 200
        assert code_of(by_key.get(f"teams/{other.slug}{path}")) == "not_found"
        assert by_key.get(f"teams/{team.slug}{path}").status_code == 200


def test_administrators_key_needs_the_scope_and_its_holder_the_office() -> None:
    team = new_team()
    chief = new_person(is_administrator=True)
    add_member(team, person=chief, role=Role.MEMBER, actor=COMMAND)
    manages = Asker(text=personal_key(chief, team, Scope.MANAGE).text)
    administers = Asker(text=personal_key(chief, team, Scope.ADMINISTER).text)
    assert administers.get("admin/teams").status_code == 200
    assert administrator().get("admin/teams").status_code == 200
    assert code_of(manages.get("admin/teams")) == "scope_missing"
    assert code_of(administers.get("teams")) == "scope_missing"
    assert data_of(manages.get("me"))["is_administrator"] is False
    assert data_of(administers.get("me"))["is_administrator"] is True
    chief.is_superuser = False
    chief.save()
    assert code_of(administers.get("admin/teams")) == "forbidden"
    assert data_of(administers.get("me"))["is_administrator"] is False


def test_member_who_signed_in_does_not_administer() -> None:
    team = new_team()
    for person in (new_member(team, Role.OWNER), new_person()):
        assert code_of(Asker(person=person).get("admin/people")) == "forbidden"
    assert code_of(member_of(team).get("admin/people")) == "scope_missing"


def test_session_needs_the_token_against_forgery_to_change_something() -> None:
    team = new_team()
    client = Client(enforce_csrf_checks=True)
    client.force_login(new_member(team, Role.OWNER))
    path, body = f"/api/v1/teams/{team.slug}/service-accounts", {"name": "app"}
    refused = client.post(path, body, "application/json")
    assert code_of(refused) == "csrf_failed"  # type: ignore[arg-type]
    token = client.get("/").cookies["csrftoken"].value
    reply = client.post(path, body, "application/json", headers={"x-csrftoken": token})
    assert reply.status_code == 201


def test_unknown_keys_are_throttled_by_the_true_peer_and_junk_is_not() -> None:
    team = new_team()
    asker, neighbour = member_of(team), member_of(team)
    good = asker.headers
    for number in range(40):
        asker.headers = {"Authorization": f"Bearer junk-{number}"}
        assert code_of(asker.get("me")) == "invalid_credential"
    asker.headers = good
    assert asker.get("me").status_code == 200
    for number in range(31):
        asker.headers = {"Authorization": f"Bearer {make_credential().text}"}
        reply = asker.get("me", X_Forwarded_For=f"192.0.2.{number}")
        assert code_of(reply) == "invalid_credential"
    for headers in (good, {"x-api-key": make_credential().text}):
        asker.headers = headers
        reply = asker.get("me")
        assert code_of(reply) == "too_many_unknown_credentials"
        assert reply["Retry-After"] == "60"
    assert neighbour.get("me").status_code == 200


def test_caller_is_throttled(settings: Settings) -> None:
    settings.LATCHKEY_API_REQUESTS_PER_MINUTE = 3
    team = new_team()
    one, other = member_of(team), member_of(team)
    assert [one.get("me").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert code_of(one.get("me")) == "too_many_requests"
    assert other.get("me").status_code == 200


def test_nobody_is_let_in_uncounted_while_the_store_is_away(settings: Settings) -> None:
    asker = member_of(new_team())
    there = settings.CACHES
    backend = {"BACKEND": there["default"]["BACKEND"], "LOCATION": "redis://127.0.0.1:9/0"}
    settings.CACHES = {"default": backend}
    for one in (asker, Asker(text=make_credential().text), Asker(person=new_person())):
        reply = one.get("me")
        assert code_of(reply) == "store_unavailable"
        assert reply.status_code == 503
    settings.CACHES = there
    assert asker.get("me").status_code == 200
