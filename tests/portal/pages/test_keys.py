import datetime
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.formats import date_format
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.credential import read_credential
from accounts.models import ApiKey, AuditEntry, KeyUse, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key, revoke_key
from accounts.writes.teams import disable_service_account
from models_registry.models import KeyModel, ModelKind, Visibility
from models_registry.writes.grants import grant_model
from portal.lib.clock import days_ahead, utc_now
from tests.accounts.rows import (
    REASON,
    new_account,
    new_key,
    new_member,
    new_person,
    new_team,
    tomorrow,
)
from tests.many_rows import multiply, quickest_s
from tests.models_registry.rows import new_offer
from tests.pages import (
    HOSTILE,
    QUERIES_MAX,
    Browser,
    shows_as_text,
    text_of,
    without_tokens,
    words_of,
)
from tests.portal.lib.test_hours import WORK

pytestmark = pytest.mark.django_db
MaxQueries = Callable[[int], AbstractContextManager[Any]]
KEY_TEXT = re.compile(r"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


def url_of(key: ApiKey) -> str:
    return reverse("key", args=[key.pk])


def own_key(person: User, team: Team, **changes: Any) -> ApiKey:
    facts: dict[str, Any] = {"name": "Laptop", "scopes": [Scope.CHAT], "expires_at": days_ahead(90)}
    return issue_key(team, holder=person, actor=COMMAND, **(facts | changes)).key


def filled(team: Team, **changes: Any) -> dict[str, Any]:
    """The form of a new key, filled in."""
    values = {
        "form_id": str(uuid.uuid4()),
        "holder": f"team:{team.pk}",
        "name": "From the page",
        "scopes": ["chat"],
        "expires_at": days_ahead(30).date().isoformat(),
    }
    return values | changes


# --- The list -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", Role)
def test_each_role_sees_the_keys_that_its_rights_say(role: Role) -> None:
    account = new_account()
    person, colleague = new_member(account.team, role), new_member(account.team)
    own = own_key(person, account.team)
    others = [own_key(colleague, account.team), new_key(account).key]
    foreign = new_key().key
    page = Browser(person).page("/keys/")
    sees_all = role is not Role.MEMBER
    assert url_of(own) in page
    assert [url_of(key) in page for key in others] == [sees_all, sees_all]
    assert url_of(foreign) not in page
    assert (reverse("key-new") in page) == (role is not Role.AUDITOR)


def test_list_says_in_which_state_a_key_is_and_filters_by_it() -> None:
    team = new_team()
    member = new_member(team)
    keys = {
        "Active": own_key(member, team),
        "Expiring": own_key(member, team, expires_at=tomorrow()),
        "Expired": own_key(member, team),
        "Revoked": own_key(member, team),
    }
    past = utc_now() - datetime.timedelta(minutes=1)
    ApiKey.objects.filter(pk=keys["Expired"].pk).update(expires_at=past)
    revoke_key(keys["Revoked"], actor=COMMAND, reason=REASON)
    browser = Browser(member)
    for state, key in keys.items():
        page = browser.page("/keys/", state=state.lower())
        assert [one for one, each in keys.items() if url_of(each) in page] == [state]
        assert f">{state}</span>" in page
        assert f">{state}</span>" in browser.page(url_of(key))


def test_list_is_filtered_by_team_and_searched_by_name_and_public_id() -> None:
    team, other = new_team(), new_team()
    member = new_member(team)
    other.memberships.create(person=member, role=Role.MEMBER)
    first, second = own_key(member, team, name="Alpha 100% _x"), own_key(member, other, name="Beta")
    browser = Browser(member)
    for query, found in (
        ({"team": team.slug}, [first]),
        ({"team": other.slug}, [second]),
        ({"q": "ALPHA"}, [first]),
        ({"q": "100% _"}, [first]),
        ({"q": "%"}, [first]),
        ({"q": "_x"}, [first]),
        ({"q": second.public_id}, [second]),
        ({"q": "nothing like it"}, []),
        ({"team": new_team().slug}, [first, second]),
        ({"q": "x" * 200, "state": "nonsense", "page": "\x00"}, [first, second]),
        ({"q": "a\x00b"}, [first, second]),
    ):
        page = browser.page("/keys/", **query)
        assert [key for key in (first, second) if url_of(key) in page] == found, query


def test_pasted_key_is_found_and_repeated_nowhere() -> None:
    account = new_account()
    issued = new_key(account)
    browser = Browser(new_member(account.team, Role.OWNER))
    reply = browser.get("/keys/", q=f" {issued.text} ")
    assert reply.status_code == 302
    assert reply["Location"] == f"/keys/?q={issued.key.public_id}"
    page = browser.page(reply["Location"])
    assert url_of(issued.key) in page
    assert issued.text not in page


def test_empty_list_says_what_to_do() -> None:
    assert "Issue a key" in Browser(new_member(new_team())).page("/keys/")
    assert reverse("key-new") not in Browser(new_person()).page("/keys/")


def many_keys(team: Team, holder: User, count: int) -> None:
    multiply(
        own_key(holder, team, expires_at=days_ahead(9)),
        count,
        public_id="substr(md5(random()::text), 1, 12)",
        name="'Key number ' || number || ' of many_%'",
    )


@pytest.mark.parametrize("query", [{}, {"q": "%_%"}, {"q": "%a%b%c%"}, {"state": "active"}])
def test_list_of_ten_thousand_keys_is_quick_and_takes_few_queries(
    django_assert_max_num_queries: MaxQueries, query: dict[str, str]
) -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    many_keys(team, owner, 10_000)
    browser = Browser(owner)

    def read() -> None:
        with django_assert_max_num_queries(QUERIES_MAX):
            browser.page("/keys/", **query)

    assert quickest_s(read, under_s=0.2) < 0.2


# --- A new key ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", Role)
def test_each_role_issues_its_own_keys_as_its_rights_say(role: Role) -> None:
    team = new_team()
    browser = Browser(new_member(team, role))
    may_issue = role is not Role.AUDITOR
    assert browser.get("/keys/new/").status_code == (200 if may_issue else 403)
    reply = browser.post("/keys/new/", **filled(team))
    assert reply.status_code == (200 if may_issue else 403)
    assert team.keys.count() == (1 if may_issue else 0)
    assert bool(KEY_TEXT.search(text_of(reply))) == may_issue


def test_person_without_a_team_issues_nothing() -> None:
    browser = Browser(new_person())
    assert browser.get("/keys/new/").status_code == 403
    assert browser.post("/keys/new/", **filled(new_team())).status_code == 403


@pytest.mark.parametrize("role", Role)
def test_key_of_a_service_account_is_for_those_who_manage_keys(role: Role) -> None:
    account = new_account()
    browser = Browser(new_member(account.team, role))
    reply = browser.post("/keys/new/", **filled(account.team, holder=f"account:{account.pk}"))
    manages = role in {Role.OWNER, Role.MANAGER}
    assert account.keys.count() == (1 if manages else 0)
    assert bool(KEY_TEXT.search(text_of(reply))) == manages
    if role is Role.MEMBER:
        assert account.name not in browser.page("/keys/new/")


def test_key_is_shown_once_with_a_call_that_names_a_model_it_may_call() -> None:
    team, chat = new_team(), new_offer()
    member = new_member(team)
    grant_model(chat, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    browser = Browser(member)
    reply = browser.post("/keys/new/", **filled(team))
    assert "no-store" in reply["Cache-Control"]
    match = KEY_TEXT.search(text_of(reply))
    assert match is not None
    credential = read_credential(match[0])
    assert credential is not None
    key = team.keys.get()
    assert key.public_id == credential.public_id
    words = words_of(text_of(reply))
    assert f"export LATCHKEY_API_KEY='{match[0]}'" in words
    assert f"curl {settings.LATCHKEY_BASE_URL}/v1/chat/completions" in words
    assert f'"model": "{chat.name}"' in words
    for address in ("/keys/", "/keys/new/", url_of(key), "/"):
        assert match[0] not in browser.page(address)


def test_key_that_may_call_nothing_yet_is_shown_with_the_call_that_works() -> None:
    team = new_team()
    reply = Browser(new_member(team)).post("/keys/new/", **filled(team))
    assert f"curl {settings.LATCHKEY_BASE_URL}/v1/models" in words_of(text_of(reply))


def test_form_sent_twice_issues_one_key_and_shows_it_once() -> None:
    team = new_team()
    browser, values = Browser(new_member(team)), filled(team)
    browser.post("/keys/new/", **values)
    again = browser.post("/keys/new/", **values)
    assert (again.status_code, again["Location"]) == (302, "/keys/")
    page = browser.page("/keys/")
    assert "issued its key already" in page
    assert KEY_TEXT.search(page) is None
    assert team.keys.count() == 1
    # Another person's copy is another form.
    other = Browser(new_member(team))
    assert KEY_TEXT.search(text_of(other.post("/keys/new/", **values)))
    browser.post("/keys/new/", **(values | {"form_id": str(uuid.uuid4())}))
    assert team.keys.count() == 3


def test_form_that_was_refused_can_be_sent_again() -> None:
    team = new_team()
    browser, values = Browser(new_member(team)), filled(team)
    refused = browser.post("/keys/new/", **(values | {"networks": "10.0.0.1/8"}))
    assert "host bits set" in text_of(refused)
    assert values["form_id"] in text_of(refused)
    assert KEY_TEXT.search(text_of(browser.post("/keys/new/", **values)))


def test_key_is_issued_while_the_store_is_away(settings: Settings) -> None:
    team = new_team()
    browser = Browser(new_member(team))
    backend = settings.CACHES["default"]["BACKEND"]
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:9/0"}}
    assert KEY_TEXT.search(text_of(browser.post("/keys/new/", **filled(team))))


def test_everything_that_the_form_asks_for_is_kept() -> None:
    team, chat, other = new_team(), new_offer(), new_offer()
    member = new_member(team)
    for model in (chat, other):
        grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    Browser(member).post(
        "/keys/new/",
        **filled(
            team,
            purpose="Trying",
            tags=" a, b,,a ",
            cost_centre="0815",
            scopes=["chat", "manage"],
            models=[chat.name],
            networks="10.20.0.0/16\r\n\r\n 2001:db8::/32 ",
            requests_per_minute="5",
            tokens_per_minute="500",
            **WORK,
        ),
    )
    key = team.keys.get()
    assert key.hours == WORK
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_ISSUED, subject_id=key.pk)
    assert entry.facts["hours"] == "mon tue wed thu fri 08:00–18:00 Europe/Berlin"  # noqa: RUF001 - as the page says it.
    assert (key.purpose, key.tags, key.cost_centre) == ("Trying", ["a", "b"], "0815")
    assert (key.scopes, key.networks) == (["chat", "manage"], ["10.20.0.0/16", "2001:db8::/32"])
    assert (key.requests_per_minute, key.tokens_per_minute) == (5, 500)
    assert key.expires_at.date() == days_ahead(30).date()
    assert [row.model for row in KeyModel.objects.filter(key=key)] == [chat]
    words = words_of(Browser(member).page(url_of(key)))
    for fact in (
        "Trying",
        "0815",
        "Europe/Berlin",
        "10.20.0.0/16",
        "chat, manage",
        "Narrowed to a list of its own",
    ):
        assert fact in words, fact
    assert chat.name in words
    assert other.name not in words


MOST = settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE
REFUSED: list[dict[str, Any]] = [
    {"holder": ""},
    {"holder": f"team:{uuid.UUID(int=1)}"},
    {"holder": "me"},
    {"name": ""},
    {"name": "x" * 101},
    {"name": "a\x00b"},
    {"scopes": []},
    {"scopes": ["administer"]},
    {"scopes": ["chat", "nonsense"]},
    {"expires_at": "2020-01-01"},
    {"expires_at": "9999-12-31"},
    {"expires_at": days_ahead(400).date().isoformat()},
    {"expires_at": ""},
    {"requests_per_minute": str(MOST + 1)},
    {"requests_per_minute": "-1"},
    {"tokens_per_minute": "9" * 40},
    {"models": ["nothing"]},
    {"networks": "10.0.0.1/8"},
    {"networks": "nonsense"},
    {"networks": "::ffff:10.0.0.0/104"},
    {"networks": "10.0.0.0/33"},
    {"networks": "fe80::%eth0/64"},
    {"networks": "1" * 60},
    {"networks": "10.0.0.0/8\n" * 101},
    {"networks": "10.0.0.0/8 192.0.2.0/24"},
    {"networks": "0x0a000000/8"},
    {"networks": HOSTILE[:50]},
    {"days": ["mon"]},
    {"days": ["everyday"]},
    WORK | {"ends": "08:00"},
    WORK | {"zone": "Mars"},
    {"tags": ",".join(str(number) for number in range(21))},
    {"tags": "x" * 61},
    {"cost_centre": "x" * 61},
    {"purpose": "x" * 501},
    {"form_id": "nonsense"},
]


@pytest.fixture(scope="module")
def asking(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[Team, Browser]]:
    """A team, and one of its members: made once, as what is refused changes nothing."""
    with django_db_blocker.unblock(), transaction.atomic():
        team = new_team()
        yield team, Browser(new_member(team))
        transaction.set_rollback(True)


@pytest.mark.parametrize("values", REFUSED, ids=lambda values: str(values)[:60])
def test_key_that_is_wrong_or_too_wide_is_refused_at_its_field(
    values: dict[str, Any], asking: tuple[Team, Browser]
) -> None:
    team, browser = asking
    reply = browser.post("/keys/new/", **(filled(team) | values))
    assert reply.status_code == 200
    page = text_of(reply)
    assert 'class="errorlist' in page
    assert "<script>alert" not in page
    assert not team.keys.exists()
    assert "Item 1 in the array" not in page
    assert KEY_TEXT.search(page) is None


def test_key_that_is_right_is_shown_to_whom_wrong_ones_were_refused(
    asking: tuple[Team, Browser],
) -> None:
    team, browser = asking
    assert KEY_TEXT.search(text_of(browser.post("/keys/new/", **filled(team))))


def test_what_is_not_ones_own_cannot_be_chosen() -> None:
    team, foreign = new_team(), new_account()
    disabled = new_account(team)
    disable_service_account(disabled, actor=COMMAND, reason=REASON)
    hidden, ungranted = new_offer(visibility=Visibility.GRANTED), new_offer()
    browser = Browser(new_member(team, Role.OWNER))
    for values in (
        {"holder": f"team:{foreign.team_id}"},
        {"holder": f"account:{foreign.pk}"},
        {"holder": f"account:{disabled.pk}"},
        {"models": [hidden.name]},
        {"models": [ungranted.name]},
    ):
        reply = browser.post("/keys/new/", **(filled(team) | values))
        assert 'class="errorlist' in text_of(reply)
    assert not ApiKey.objects.filter(team__in=[team, foreign.team]).exists()


def test_administering_is_offered_to_administrators_alone() -> None:
    team, administrator = new_team(), new_person(is_administrator=True)
    team.memberships.create(person=administrator, role=Role.MEMBER)
    assert "Administer:" in Browser(administrator).page("/keys/new/")
    assert "Administer:" not in Browser(new_member(team, Role.OWNER)).page("/keys/new/")
    Browser(administrator).post("/keys/new/", **filled(team, scopes=["administer"]))
    assert team.keys.get().scopes == ["administer"]


def test_accounts_key_that_would_manage_is_refused_at_its_field() -> None:
    account = new_account()
    browser = Browser(new_member(account.team, Role.OWNER))
    values = filled(account.team, holder=f"account:{account.pk}", scopes=["chat", "manage"])
    assert "person" in words_of(text_of(browser.post("/keys/new/", **values)))
    assert not account.keys.exists()


# --- One key --------------------------------------------------------------------------------------------------------
def test_key_page_shows_facts_last_use_and_models() -> None:
    account, chat, embeddings = new_account(), new_offer(), new_offer(ModelKind.EMBEDDINGS)
    for model in (chat, embeddings):
        scopes = [Scope(model.kind)]
        grant_model(model, to=account, scopes=scopes, ends_at=tomorrow(), actor=COMMAND)
    key = new_key(account).key
    owner = new_member(account.team, Role.OWNER)
    browser = Browser(owner)
    assert "It has not been used yet" in browser.page(url_of(key))
    used_at = utc_now()
    KeyUse.objects.create(key=key, last_used_at=used_at, last_peer="192.0.2.7")
    page = browser.page(url_of(key))
    words = words_of(page)
    for fact in (
        account.name,
        account.team.name,
        str(key),
        "from 192.0.2.7",
        date_format(used_at, "j M Y, H:i"),
        f"{settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE:,} (as every key)",
        "anywhere",
        chat.name,
    ):
        assert fact in words, fact
    # The key allows chat alone.
    assert embeddings.name not in words


@pytest.mark.parametrize("end", ["revoked", "expired", "disabled"])
def test_key_that_is_refused_is_said_to_call_nothing(end: str) -> None:
    account, chat = new_account(), new_offer()
    grant_model(chat, to=account, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.OWNER))
    assert chat.name in browser.page(url_of(key))
    if end == "revoked":
        revoke_key(key, actor=COMMAND, reason=REASON)
    elif end == "expired":
        ApiKey.objects.filter(pk=key.pk).update(expires_at=utc_now())
    else:
        disable_service_account(account, actor=COMMAND, reason=REASON)
    assert chat.name not in browser.page(url_of(key))


@pytest.mark.parametrize("role", Role)
def test_each_role_revokes_as_its_rights_say(role: Role) -> None:
    account = new_account()
    person = new_member(account.team, role)
    browser, own = Browser(person), own_key(person, account.team)
    for key, is_own in ((own, True), (new_key(account).key, False)):
        address = reverse("key-revoke", args=[key.pk])
        sees = is_own or role is not Role.MEMBER
        may_revoke = is_own or role in {Role.OWNER, Role.MANAGER}
        assert browser.get(url_of(key)).status_code == (200 if sees else 404)
        if sees:
            assert (address in browser.page(url_of(key))) == may_revoke
        reply = browser.post(address, reason=REASON)
        assert reply.status_code == (302 if may_revoke else 403 if sees else 404)
        key.refresh_from_db()
        assert (key.revoked_at is not None) == may_revoke
        if may_revoke:
            page = words_of(browser.page(url_of(key)))
            assert f"Reason: {REASON}" in page
            assert f"By {person.email}" in page
            assert address not in browser.page(url_of(key))


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\x00b"])
def test_key_is_not_revoked_without_a_reason(reason: str) -> None:
    team = new_team()
    member = new_member(team)
    key = own_key(member, team)
    browser, address = Browser(member), reverse("key-revoke", args=[key.pk])
    reply = browser.post(address, reason=reason)
    assert 'class="errorlist' in text_of(reply)
    assert "within a second" in text_of(reply)
    key.refresh_from_db()
    assert key.revoked_at is None
    assert browser.get(address).status_code == 405
    assert browser.post(address, reason=REASON).status_code == 302


def test_other_teams_key_answers_like_one_that_does_not_exist() -> None:
    key = new_key().key
    browser = Browser(new_member(new_team(), Role.OWNER))
    for step, values in (("key", None), ("key-revoke", {"reason": REASON})):
        there, nowhere = (
            browser.get(address) if values is None else browser.post(address, **values)
            for address in (reverse(step, args=[key.pk]), reverse(step, args=[uuid.uuid4()]))
        )
        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert without_tokens(text_of(there)) == without_tokens(text_of(nowhere))
    key.refresh_from_db()
    assert key.revoked_at is None


def test_hostile_words_are_shown_as_text() -> None:
    account = new_account()
    owner = new_member(account.team, Role.OWNER)
    key = new_key(account).key
    hostile = HOSTILE[:90]
    ApiKey.objects.filter(pk=key.pk).update(
        name=hostile, purpose=hostile, tags=[HOSTILE[:60]], cost_centre=HOSTILE[:60]
    )
    User.objects.filter(pk=owner.pk).update(name=HOSTILE)
    browser = Browser(owner)
    for address in ("/keys/", url_of(key)):
        assert shows_as_text(browser.page(address), hostile)
    reply = browser.post("/keys/new/", **filled(account.team, name=HOSTILE, purpose=HOSTILE))
    assert shows_as_text(text_of(reply))
    revoke_key(key, actor=COMMAND, reason=HOSTILE)
    assert shows_as_text(browser.page(url_of(key)))


def test_holder_that_is_disabled_is_named() -> None:
    account = new_account()
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.MANAGER))
    assert "is disabled" not in browser.page(url_of(key))
    disable_service_account(account, actor=COMMAND, reason=REASON)
    assert "is disabled" in browser.page(url_of(key))


def test_pages_of_a_key_need_few_queries(django_assert_max_num_queries: MaxQueries) -> None:
    member = new_person()
    for _ in range(5):
        account = new_account()
        account.team.memberships.create(person=member, role=Role.OWNER)
        model = new_offer()
        grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    key = new_key(account).key
    revoke_key(key, actor=COMMAND, reason=REASON)
    browser = Browser(member)
    for address in ("/keys/", "/keys/new/", url_of(key)):
        with django_assert_max_num_queries(QUERIES_MAX):
            browser.page(address)
