"""Decisions in the admin: less than was asked, never on one's own, and one outcome when two decide at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import AuditEntry
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.writes.teams import add_member
from models_registry.models import AccessRequest, Grant, ModelKind, RequestStatus
from proxy.models import Call, UsageHour
from tests.accounts.rows import new_member, new_person, new_team
from tests.models_registry.rows import ask, new_decider, new_offer
from tests.portal.admin.test_access import signed_in
from tests.portal.admin.world import call_facts, usage_facts


def act(request: AccessRequest, name: str) -> str:
    return reverse("admin:models_registry_accessrequest_act", args=[request.pk, name])


def page(request: AccessRequest) -> str:
    return reverse("admin:models_registry_accessrequest_change", args=[request.pk])


def asked(count: int = 1, **changes: Any) -> AccessRequest:
    team = new_team()
    return ask(new_member(team), team, *[new_offer() for _ in range(count)], **changes)


def decision(request: AccessRequest, **changes: Any) -> dict[str, Any]:
    """What the form sends when nothing is changed in it."""
    models = [str(named.model_id) for named in request.requested_models.all()]
    until = f"{request.wanted_until:%Y-%m-%dT%H:%M}"
    return {"models": models, "scopes": request.scopes, "ends_at": until, "reason": ""} | changes


def grants(request: AccessRequest) -> list[Grant]:
    return list(Grant.objects.filter(requested_model__request=request))


@pytest.mark.django_db
@pytest.mark.parametrize("is_administrator", [True, False])
def test_page_says_all_that_a_decision_needs(is_administrator: bool) -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    model, used = new_offer(data_class="confidential", price_input=2_500_000), new_offer()
    request = ask(owner, team, model, requests_per_minute=321, tokens_per_minute=65_432)
    call = Call(**call_facts(team, used.pk, team.pk))
    UsageHour.objects.create(**(usage_facts(call) | {"calls": 98_765}))
    person = new_person(is_administrator=True) if is_administrator else new_decider()
    text = signed_in(person).get(page(request)).content.decode()
    needed = [owner.email, "Owner", team.name, request.justification, model.name, used.name]
    needed += ["Confidential", "$2.50", "321", "65,432", "98,765", "Approve", "Deny", "Comment"]
    missing = [one for one in needed if one not in text]
    assert not missing


@pytest.mark.django_db
def test_whole_request_is_approved_as_the_form_stands(administrator: Client) -> None:
    request = asked(2)
    assert administrator.post(act(request, "approve"), decision(request)).status_code == 302
    request.refresh_from_db()
    assert request.status == RequestStatus.APPROVED
    assert len(grants(request)) == 2


@pytest.mark.django_db
def test_less_than_was_asked_is_granted(administrator: Client) -> None:
    request = asked(2, requests_per_minute=100, tokens_per_minute=1000)
    kept = request.requested_models.all()[0].model
    less = {"models": [str(kept.pk)], "requests_per_minute": 10, "tokens_per_minute": 500}
    unexplained = administrator.post(act(request, "approve"), decision(request, **less))
    assert "Say why it is less" in unexplained.content.decode()
    values = decision(request, **less, reason="To begin with.")
    assert administrator.post(act(request, "approve"), values).status_code == 302
    (grant,) = grants(request)
    assert (grant.model, grant.requests_per_minute, grant.tokens_per_minute) == (kept, 10, 500)
    entry = AuditEntry.objects.get(tag=AuditTag.REQUEST_APPROVED, subject_id=request.pk)
    assert entry.facts["model_ids"] == [str(kept.pk)]


@pytest.mark.django_db
def test_kind_of_call_that_is_left_out_takes_its_models_with_it(administrator: Client) -> None:
    team = new_team()
    chat, embeddings = new_offer(), new_offer(ModelKind.EMBEDDINGS)
    request = ask(new_member(team), team, chat, embeddings)
    none = decision(request, models=[str(embeddings.pk)], scopes=["chat"])
    reply = administrator.post(act(request, "approve"), none)
    assert "Grant at least one model" in reply.content.decode()
    values = decision(request, scopes=["chat"], reason="Text alone.")
    assert administrator.post(act(request, "approve"), values).status_code == 302
    (grant,) = grants(request)
    assert (grant.model, grant.scopes) == (chat, ["chat"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "more",
    [
        {"ends_at": "2099-01-01T00:00"},
        {"requests_per_minute": "101"},
        {"models": []},
        {"scopes": []},
        {"scopes": ["embeddings"]},
        {"scopes": ["administer"]},
        {"ends_at": "x"},
    ],
    ids=str,
)
def test_more_than_was_asked_is_refused_beside_the_facts(
    administrator: Client, more: dict[str, Any]
) -> None:
    request = asked(requests_per_minute=100)
    reply = administrator.post(act(request, "approve"), decision(request, **more))
    assert reply.status_code == 200
    text = reply.content.decode()
    assert request.justification in text
    assert 'role="alert"' in text
    assert not grants(request)
    assert administrator.post(act(request, "approve"), decision(request)).status_code == 302


@pytest.mark.django_db
def test_model_that_was_not_asked_for_cannot_be_slipped_in(administrator: Client) -> None:
    request, other = asked(), new_offer()
    values = decision(request, models=[str(other.pk)])
    assert administrator.post(act(request, "approve"), values).status_code == 200
    assert not Grant.objects.filter(model=other).exists()


@pytest.mark.django_db
def test_denial_wants_a_reason(administrator: Client) -> None:
    request = asked()
    assert administrator.post(act(request, "deny"), {"reason": " "}).status_code == 200
    assert administrator.post(act(request, "deny"), {"reason": "Too wide."}).status_code == 302
    request.refresh_from_db()
    assert (request.status, request.decision_reason) == (RequestStatus.DENIED, "Too wide.")
    text = administrator.get(page(request)).content.decode()
    assert "Too wide." in text
    assert act(request, "approve") not in text


@pytest.mark.django_db
def test_comment_stands_on_the_page(administrator: Client) -> None:
    request = asked()
    assert administrator.post(act(request, "comment"), {"text": "Which mail?"}).status_code == 302
    assert "Which mail?" in administrator.get(page(request)).content.decode()


@pytest.mark.django_db
def test_own_request_says_why_it_cannot_be_decided_and_is_not() -> None:
    team, administrator = new_team(), new_person(is_administrator=True)
    add_member(team, person=administrator, role=Role.OWNER, actor=COMMAND)
    request, client = ask(administrator, team), signed_in(administrator)
    text = client.get(page(request)).content.decode()
    assert "Nobody decides on a request of their own" in text
    assert act(request, "approve") not in text
    for name, values in (("approve", decision(request)), ("deny", {"reason": "No."})):
        assert client.post(act(request, name), values).status_code == 200
    listed = {"action": "approve-as-asked", "_selected_action": [str(request.pk)], "confirmed": 1}
    reply = client.post(
        reverse("admin:models_registry_accessrequest_changelist"), listed, follow=True
    )
    assert "Nobody decides on a request of their own" in reply.content.decode()
    request.refresh_from_db()
    assert request.status == RequestStatus.OPEN
    assert not grants(request)


@pytest.mark.django_db
def test_several_are_approved_as_asked_and_each_refusal_is_named(administrator: Client) -> None:
    good, closed = asked(2), asked()
    administrator.post(act(closed, "deny"), {"reason": "No."})
    listed = {
        "action": "approve-as-asked",
        "_selected_action": [str(good.pk), str(closed.pk)],
        "confirmed": 1,
        "reason": "All in order.",
    }
    changelist = reverse("admin:models_registry_accessrequest_changelist")
    text = administrator.post(changelist, listed, follow=True).content.decode()
    assert "1 of 2" in text
    assert "denied meanwhile" in text
    assert len(grants(good)) == 2
    assert not grants(closed)


@pytest.mark.django_db
def test_open_requests_come_first_and_the_oldest_of_them_on_top(administrator: Client) -> None:
    first, second, closed = asked(), asked(), asked()
    administrator.post(act(closed, "deny"), {"reason": "No."})
    changelist = reverse("admin:models_registry_accessrequest_changelist")
    text = administrator.get(changelist).content.decode()
    places = [text.index(f"{request.pk}/change/") for request in (first, second, closed)]
    assert places == sorted(places)
    for query, shown in (
        ({"status__exact": "denied"}, closed),
        ({"team__id__exact": str(second.team_id)}, second),
        ({"q": first.team.name}, first),
    ):
        found = administrator.get(changelist, query).content.decode()
        assert [str(one.pk) in found for one in (first, second, closed)].count(True) == 1
        assert str(shown.pk) in found


def test_two_who_decide_at_once_make_one_decision(committed: None) -> None:
    request = asked()
    clients = [signed_in(new_person(is_administrator=True)) for _ in range(2)]
    acts = [("approve", decision(request)), ("deny", {"reason": "No."})]
    barrier = Barrier(2)

    def decide(client: Client, name: str, values: dict[str, Any]) -> int:
        barrier.wait(10)
        try:
            return int(client.post(act(request, name), values).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        replies = [
            threads.submit(decide, client, name, values)
            for client, (name, values) in zip(clients, acts, strict=True)
        ]
        statuses = sorted(reply.result(30) for reply in replies)
    assert statuses == [200, 302]
    request.refresh_from_db()
    assert len(grants(request)) == (1 if request.status == RequestStatus.APPROVED else 0)
    decided = (AuditTag.REQUEST_APPROVED, AuditTag.REQUEST_DENIED)
    assert AuditEntry.objects.filter(tag__in=decided, subject_id=request.pk).count() == 1
