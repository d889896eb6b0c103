import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from models_registry.models import AccessRequest, Grant, RequestStatus, StepBy
from models_registry.models.requests import COMMENT_MAX
from models_registry.policy_rules import Step
from models_registry.writes.requests import (
    approve_request,
    comment_on_request,
    deny_request,
    withdraw_request,
)
from portal.lib.clock import days_ahead
from tests.accounts.rows import REASON, new_account, new_holder, new_member, new_person, new_team
from tests.models_registry.rows import ask, new_decider, new_offer, new_policy
from tests.pages import (
    HOSTILE,
    QUERIES_MAX,
    Browser,
    shows_as_text,
    text_of,
    without_tokens,
    words_of,
)

pytestmark = pytest.mark.django_db
MaxQueries = Callable[[int], AbstractContextManager[Any]]


def url_of(request: AccessRequest, step: str = "") -> str:
    return reverse(f"request-{step}" if step else "request", args=[request.pk])


def status_of(request: AccessRequest) -> str:
    return AccessRequest.objects.get(pk=request.pk).status


def test_list_shows_the_requests_of_ones_own_teams() -> None:
    team, other = new_team(), new_team()
    member = new_member(team)
    own, colleagues = ask(member, team), ask(new_member(team), team)
    others = ask(new_member(other), other)
    browser = Browser(member)
    page = browser.page("/requests/")
    assert url_of(own) in page
    assert url_of(colleagues) in page
    assert url_of(others) not in page
    page = browser.page("/requests/", mine="on")
    assert url_of(own) in page
    assert url_of(colleagues) not in page
    assert url_of(others) not in Browser(new_decider()).page("/requests/")


def test_list_is_filtered_by_status() -> None:
    team, decider = new_team(), new_decider()
    member = new_member(team)
    made = {status: ask(member, team) for status in RequestStatus}
    approve_request(made[RequestStatus.APPROVED], actor=decider)
    deny_request(made[RequestStatus.DENIED], actor=decider, reason=REASON)
    withdraw_request(made[RequestStatus.WITHDRAWN], actor=member)
    browser = Browser(member)
    for status in RequestStatus:
        page = browser.page("/requests/", status=status.value)
        assert [one for one in made if url_of(made[one]) in page] == [status]
    for junk in ("nonsense", "\x00", "x" * 500):
        page = browser.page("/requests/", status=junk, mine=junk, page=junk)
        assert all(url_of(one) in page for one in made.values())


def test_empty_list_says_what_to_do() -> None:
    browser = Browser(new_member(new_team()))
    assert "Nobody has asked yet" in browser.page("/requests/")
    assert "No such requests" in browser.page("/requests/", status="denied")


def test_request_page_tells_what_happened_in_order() -> None:
    account, decider = new_account(), new_decider()
    member = new_member(account.team)
    chat, left_out = new_offer(), new_offer()
    request = ask(
        member,
        account.team,
        chat,
        left_out,
        service_account=account,
        requests_per_minute=1234,
        justification="First words.",
    )
    comment_on_request(request, actor=decider, text="Second words.")
    comment_on_request(request, actor=member, text="Third words.")
    approve_request(
        request, actor=decider, models=[chat], reason="Last words.", requests_per_minute=99
    )
    words = words_of(Browser(new_member(account.team, Role.AUDITOR)).page(url_of(request)))
    places = [words.index(f"{part} words.") for part in ("First", "Second", "Third", "Last")]
    assert places == sorted(places)
    for fact in (
        account.name,
        "1,234 a minute",
        "Calls: 99 a minute",
        f"Granted until {request.wanted_until:%-d %b %Y}",
        "Not granted",
        decider.email,
        member.email,
    ):
        assert fact in words, fact


def test_hostile_words_are_shown_as_text() -> None:
    team, decider = new_team(), new_decider()
    member = new_member(team)
    request = ask(member, team, justification=HOSTILE)
    browser = Browser(member)
    assert shows_as_text(browser.page(url_of(request)))
    other = ask(member, team)
    comment_on_request(other, actor=member, text=HOSTILE)
    assert shows_as_text(browser.page(url_of(other)))
    third = ask(member, team)
    deny_request(third, actor=decider, reason=HOSTILE)
    assert shows_as_text(browser.page(url_of(third)))
    User.objects.filter(pk=member.pk).update(name=HOSTILE)
    assert shows_as_text(browser.page(url_of(third)))
    assert shows_as_text(Browser(new_member(team)).page("/requests/"))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("is_own", [False, True])
def test_each_role_finds_and_does_what_its_rights_say(role: Role, is_own: bool) -> None:
    team = new_team()
    person, maker = new_member(team, role), new_member(team)
    if is_own and role is Role.AUDITOR:
        team.memberships.filter(person=person).update(role=Role.MEMBER)
    request = ask(person if is_own else maker, team)
    team.memberships.filter(person=person).update(role=role)
    browser = Browser(person)
    page = browser.page(url_of(request))
    may_comment = role is not Role.AUDITOR
    may_withdraw = is_own or role in {Role.OWNER, Role.MANAGER}
    assert (url_of(request, "comment") in page) == may_comment
    assert (url_of(request, "withdraw") in page) == may_withdraw
    reply = browser.post(url_of(request, "comment"), text="Is there news?")
    assert reply.status_code == (302 if may_comment else 403)
    assert request.comments.count() == (1 if may_comment else 0)
    reply = browser.post(url_of(request, "withdraw"))
    assert reply.status_code == (302 if may_withdraw else 403)
    assert status_of(request) == ("withdrawn" if may_withdraw else "open")


def test_decider_comments_from_outside_the_team_and_withdraws_nothing() -> None:
    team, decider = new_team(), new_decider()
    request = ask(new_member(team), team)
    browser = Browser(decider)
    assert url_of(request, "withdraw") not in browser.page(url_of(request))
    assert browser.post(url_of(request, "withdraw")).status_code == 403
    assert browser.post(url_of(request, "comment"), text="Which data?").status_code == 302
    assert request.comments.get().author == decider
    assert status_of(request) == RequestStatus.OPEN


def test_other_teams_request_answers_like_one_that_does_not_exist() -> None:
    team = new_team()
    request = ask(new_member(team), team)
    browser = Browser(new_member(new_team(), Role.OWNER))
    for step in ("", "comment", "withdraw"):
        there, nowhere = (
            browser.post(address, text="x") if step else browser.get(address)
            for address in (
                url_of(request, step),
                url_of(AccessRequest(pk=uuid.uuid4()), step),
            )
        )
        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert without_tokens(text_of(there)) == without_tokens(text_of(nowhere))
    assert not request.comments.exists()
    assert status_of(request) == RequestStatus.OPEN


@pytest.mark.parametrize("text", ["", " ", "x" * (COMMENT_MAX + 1), "a\x00b"])
def test_comment_that_cannot_be_kept_is_shown_again(text: str) -> None:
    team = new_team()
    member = new_member(team)
    request = ask(member, team)
    browser = Browser(member)
    reply = browser.post(url_of(request, "comment"), text=text)
    assert reply.status_code == 200
    assert 'class="errorlist"' in text_of(reply)
    assert not request.comments.exists()
    reply = browser.post(url_of(request, "comment"), text="x" * COMMENT_MAX)
    assert "Your comment was added" in browser.page(reply["Location"])


def test_request_that_has_ended_meanwhile_says_so() -> None:
    team, decider = new_team(), new_decider()
    member = new_member(team)
    request = ask(member, team)
    approve_request(request, actor=decider)
    browser = Browser(member)
    page = browser.page(url_of(request))
    assert url_of(request, "comment") not in page
    assert url_of(request, "withdraw") not in page
    assert reverse("key-new") in page
    for step in ("comment", "withdraw"):
        browser.post(url_of(request, step), text="Too late.")
        assert "has been approved meanwhile" in browser.page(url_of(request))
    assert status_of(request) == RequestStatus.APPROVED


@pytest.mark.parametrize("step", ["comment", "withdraw"])
def test_acts_are_posted(step: str) -> None:
    team = new_team()
    member = new_member(team)
    request = ask(member, team)
    assert Browser(member).get(url_of(request, step)).status_code == 405
    assert Browser(member).post(url_of(request)).status_code == 405
    assert status_of(request) == RequestStatus.OPEN


def test_pages_of_requests_need_few_queries(django_assert_max_num_queries: MaxQueries) -> None:
    team, decider = new_team(), new_decider()
    owner = new_member(team, Role.OWNER)
    requests = [
        ask(owner, team, new_offer(), new_offer(), wanted_until=days_ahead(3)) for _ in range(52)
    ]
    for _ in range(5):
        comment_on_request(requests[0], actor=new_member(team), text="Yes.")
    approve_request(requests[0], actor=decider)
    browser = Browser(owner)
    with django_assert_max_num_queries(QUERIES_MAX):
        first = browser.page("/requests/")
    second = browser.page("/requests/", page="2")
    assert [sum(url_of(one) in page for one in requests) for page in (first, second)] == [50, 2]
    for person in (owner, decider):
        browser = Browser(person)
        with django_assert_max_num_queries(QUERIES_MAX):
            browser.page(url_of(requests[0]))


def test_stranger_to_all_teams_has_an_empty_list() -> None:
    team = new_team()
    request = ask(new_member(team), team)
    page = Browser(new_person()).page("/requests/")
    assert url_of(request) not in page


def agreed(request: AccessRequest, **changes: Any) -> dict[str, Any]:
    """What the form sends when nothing is changed in it."""
    names = [named.model.name for named in request.requested_models.all()]
    until = f"{request.wanted_until:%Y-%m-%d}"
    return {"models": names, "wanted_until": until, "reason": ""} | changes


def test_whom_a_step_waits_for_finds_the_request_and_agrees_to_it_or_to_less() -> None:
    team, one, other = new_team(), new_offer(), new_offer()
    new_policy(Step(StepBy.MANAGER), Step(StepBy.SECURITY), model_ids=[one.pk, other.pk])
    member = new_member(team)
    request = ask(member, team, one, other, tokens_per_minute=5000, budget_micro_usd=2_500_000)
    assert url_of(request, "agree") not in Browser(member).page(url_of(request))
    manager = Browser(new_member(team, Role.MANAGER))
    assert "1 request waits for you" in manager.page("/requests/")
    assert url_of(request) in manager.page("/requests/", waiting="on")
    words = words_of(manager.page(url_of(request)))
    for fact in (f"a manager of {team.name}", "security", "0 of 1 so far", "$2.50 a month"):
        assert fact in words, fact
    less = agreed(request, models=[one.name], tokens_per_minute="100", budget="1.25")
    assert "Say why it is less" in text_of(manager.post(url_of(request, "agree"), **less))
    more = agreed(request, tokens_per_minute="5001", reason="More.")
    assert "was not asked for" in text_of(manager.post(url_of(request, "agree"), **more))
    reply = manager.post(url_of(request, "agree"), **(less | {"reason": "To begin with."}))
    assert "You have agreed" in manager.page(reply["Location"])
    assert "Nothing waits for you" in manager.page("/requests/", waiting="on")
    words = words_of(Browser(member).page(url_of(request)))
    assert "To begin with." in words
    assert f"agreed, as a manager of {team.name}" in words
    guard = Browser(new_holder(PortalRole.SECURITY))
    assert other.name not in words_of(guard.page(url_of(request))).partition("Agree to less")[2]
    ending = agreed(request, models=[one.name], tokens_per_minute="100", budget="1.25")
    assert guard.post(url_of(request, "agree"), **ending).status_code == 302
    grant = Grant.objects.get(team=team)
    assert (grant.model, grant.tokens_per_minute, grant.ends_at) == (one, 100, request.wanted_until)
    assert "approved it" in words_of(Browser(member).page(url_of(request)))


def test_whom_a_step_waits_for_denies_with_a_reason() -> None:
    team, model = new_team(), new_offer()
    new_policy(Step(StepBy.SECURITY), model_ids=[model.pk])
    request = ask(new_member(team), team, model)
    guard = Browser(new_holder(PortalRole.SECURITY))
    assert guard.post(url_of(request, "deny"), reason=" ").status_code == 200
    assert status_of(request) == RequestStatus.OPEN
    assert guard.post(url_of(request, "deny"), reason=REASON).status_code == 302
    assert status_of(request) == RequestStatus.DENIED
    reply = guard.post(url_of(request, "agree"), **agreed(request))
    assert "has been denied meanwhile" in guard.page(reply["Location"])


def test_what_policies_approve_by_themselves_says_so() -> None:
    team, model = new_team(), new_offer(data_class="public")
    new_policy(model_ids=[model.pk], budget_up_to=1_000_000)
    member = Browser(new_member(team))
    values = {
        "for_whom": f"team:{team.pk}",
        "justification": "A trial.",
        "wanted_until": f"{days_ahead(3):%Y-%m-%d}",
        "budget": "1",
        "data_class": "public",
    }
    reply = member.post(reverse("ask", args=[model.name]), **values)
    assert "The policies in force approved it" in words_of(member.page(reply["Location"]))
    assert Grant.objects.filter(team=team, model=model).exists()
