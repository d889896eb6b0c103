import datetime
from collections.abc import Callable
from functools import partial

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Notification, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.notifications import NotificationKind
from accounts.models.teams import Role
from accounts.writes.people import disable_person
from accounts.writes.teams import disable_service_account, disable_team
from models_registry.models import (
    AccessRequest,
    DataClass,
    Grant,
    ModelKind,
    ModelStatus,
    RequestStatus,
    StepBy,
)
from models_registry.models.requests import COMMENT_MAX, JUSTIFICATION_MAX, REASON_MAX
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.requests import (
    COMMENTS_MAX,
    approve_request,
    comment_on_request,
    deny_request,
    withdraw_request,
)
from portal.lib.clock import days_ahead, utc_now
from portal.lib.redaction import REDACTED
from tests.accounts.rows import REASON, new_account, new_member, new_person, new_team, tomorrow
from tests.models_registry.rows import ask, new_decider, new_model, new_offer

pytestmark = pytest.mark.django_db
SECRET = "sk-upstream-canary-0123456789"
MINUTE = datetime.timedelta(minutes=1)


def tags_of(request: AccessRequest) -> list[str]:
    entries = AuditEntry.objects.filter(subject_kind="request", subject_id=request.pk)
    return list(entries.order_by("id").values_list("tag", flat=True))


def told(kind: NotificationKind, request: AccessRequest) -> set[User | None]:
    rows = Notification.objects.filter(kind=kind, facts__request_id=str(request.pk))
    return {row.person for row in rows.select_related("person")}


def status_of(request: AccessRequest) -> str:
    return AccessRequest.objects.get(pk=request.pk).status


def refused_fields(act: Callable[[], object]) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        act()
    return list(getattr(refused.value, "message_dict", {"": None}))


@pytest.mark.parametrize("to_account", [False, True])
def test_approval_grants_what_was_asked_and_links_it(to_account: bool) -> None:
    account, decider = new_account(), new_decider()
    team = account.team
    member = new_member(team)
    chat, embeddings = new_offer(), new_offer(ModelKind.EMBEDDINGS)
    request = ask(
        member,
        team,
        chat,
        embeddings,
        service_account=account if to_account else None,
        requests_per_minute=10,
    )
    assert not Grant.objects.filter(model__in=[chat, embeddings]).exists()
    grants = approve_request(request, actor=decider, reason=REASON)
    assert {grant.model_id: grant.scopes for grant in grants} == {
        chat.pk: ["chat"],
        embeddings.pk: ["embeddings"],
    }
    holder = (None, account.pk) if to_account else (team.pk, None)
    assert {(grant.team_id, grant.service_account_id) for grant in grants} == {holder}
    assert {grant.ends_at for grant in grants} == {request.wanted_until}
    assert {grant.requests_per_minute for grant in grants} == {10}
    linked = {row.model_id: row.grant_id for row in request.requested_models.all()}
    assert linked == {grant.model_id: grant.pk for grant in grants}
    request.refresh_from_db()
    assert (request.status, request.decided_by) == (RequestStatus.APPROVED, decider)
    assert request.decision_reason == REASON
    assert tags_of(request) == [AuditTag.REQUEST_MADE, AuditTag.REQUEST_APPROVED]
    assert AuditEntry.objects.filter(tag=AuditTag.GRANT_MADE, actor_id=decider.pk).count() == 2
    assert told(NotificationKind.REQUEST_DECIDED, request) == {member}


def test_approval_can_be_for_less() -> None:
    team, decider = new_team(), new_decider()
    chat, embeddings = new_offer(), new_offer(ModelKind.EMBEDDINGS)
    request = ask(new_member(team), team, chat, embeddings, requests_per_minute=10)
    ends_at = request.wanted_until - MINUTE
    (grant,) = approve_request(
        request,
        actor=decider,
        models=[chat],
        scopes=[Scope.CHAT],
        ends_at=ends_at,
        requests_per_minute=5,
        tokens_per_minute=100,
        reason=REASON,
    )
    assert (grant.model_id, grant.ends_at) == (chat.pk, ends_at)
    assert (grant.requests_per_minute, grant.tokens_per_minute) == (5, 100)
    assert request.requested_models.get(model=embeddings).grant is None
    entry = AuditEntry.objects.get(tag=AuditTag.REQUEST_APPROVED, subject_id=request.pk)
    assert entry.facts["model_ids"] == [str(chat.pk)]


MORE = {
    "another model": ({"models": "another"}, "models"),
    "no model": ({"models": []}, "models"),
    "another kind of call": ({"scopes": [Scope.CHAT, Scope.EMBEDDINGS]}, "scopes"),
    "no kind of call": ({"scopes": []}, "scopes"),
    "a scope of the portal": ({"scopes": [Scope.CHAT, Scope.ADMINISTER]}, "scopes"),
    "a later end": ({"ends_at": days_ahead(3)}, "ends_at"),
    "a past end": ({"ends_at": utc_now() - MINUTE}, "ends_at"),
    "more requests": ({"requests_per_minute": 11}, "requests_per_minute"),
    "no requests": ({"requests_per_minute": 0}, "requests_per_minute"),
    "more tokens": ({"tokens_per_minute": 101}, "tokens_per_minute"),
    "a long reason": ({"reason": "x" * (REASON_MAX + 1)}, "reason"),
}


@pytest.mark.parametrize("case", MORE.values(), ids=MORE)
def test_approval_for_more_or_for_nothing_is_refused_by_name(
    case: tuple[dict[str, object], str],
) -> None:
    changes, field = case
    if changes.get("models") == "another":
        changes = {"models": [new_offer()]}
    team, decider = new_team(), new_decider()
    request = ask(new_member(team), team, requests_per_minute=10, tokens_per_minute=100)
    assert refused_fields(lambda: approve_request(request, actor=decider, **changes)) == [field]  # type: ignore[arg-type]
    assert status_of(request) == RequestStatus.OPEN
    assert not team.grants.exists()
    approve_request(request, actor=decider)
    assert team.grants.count() == 1


@pytest.mark.parametrize("gone", ["model", "account"])
def test_what_has_ended_since_it_was_asked_for_is_not_granted(gone: str) -> None:
    account, model, decider = new_account(), new_offer(), new_decider()
    request = ask(new_member(account.team), account.team, model, service_account=account)
    if gone == "model":
        set_model_status(model, status=ModelStatus.RETIRED, actor=COMMAND)
    else:
        disable_service_account(account, actor=COMMAND, reason=REASON)
    with pytest.raises(ValidationError):
        approve_request(request, actor=decider)
    assert not Grant.objects.filter(model=model).exists()
    deny_request(request, actor=decider, reason=REASON)


@pytest.mark.parametrize("role", Role)
def test_each_role_asks_and_speaks_as_its_rights_say(role: Role) -> None:
    team, decider = new_team(), new_decider()
    person = new_member(team, role)
    request = ask(new_member(team), team)
    if role is Role.AUDITOR:
        with pytest.raises(PermissionDenied):
            ask(person, team)
        with pytest.raises(PermissionDenied):
            comment_on_request(request, actor=person, text="When?")
    else:
        comment_on_request(ask(person, team), actor=person, text="When?")
    if role in {Role.OWNER, Role.MANAGER}:
        withdraw_request(request, actor=person)
    else:
        with pytest.raises(PermissionDenied):
            withdraw_request(request, actor=person)
    other = ask(new_member(team), team)
    for act in (approve_request, deny_request):
        with pytest.raises(PermissionDenied):
            act(other, actor=person, reason=REASON)
    approve_request(other, actor=decider)


def test_stranger_finds_nothing_to_act_on() -> None:
    team, stranger = new_team(), new_member(new_team(), Role.OWNER)
    request = ask(new_member(team), team)
    acts: list[Callable[[], object]] = [
        lambda: ask(stranger, team),
        lambda: comment_on_request(request, actor=stranger, text="Hello"),
        lambda: withdraw_request(request, actor=stranger),
    ]
    for act in acts:
        with pytest.raises(Http404):
            act()
    assert tags_of(request) == [AuditTag.REQUEST_MADE]


def test_nobody_decides_on_their_own_request() -> None:
    team, administrator = new_team(), new_person(is_administrator=True)
    team.memberships.create(person=administrator, role=Role.OWNER)
    own, others = ask(administrator, team), ask(new_member(team), team)
    for act in (approve_request, deny_request):
        with pytest.raises(PermissionDenied, match="their own"):
            act(own, actor=administrator, reason=REASON)
    assert status_of(own) == RequestStatus.OPEN
    approve_request(others, actor=administrator)


@pytest.mark.parametrize("spoil", ["no staff", "no permission", "inactive"])
def test_decision_needs_staff_permission_and_an_active_person(spoil: str) -> None:
    team, decider = new_team(), new_decider()
    request, person = ask(new_member(team), team), new_decider()
    person.is_staff = spoil != "no staff"
    person.is_active = spoil != "inactive"
    person.save()
    if spoil == "no permission":
        person.portal_roles.all().delete()
    person = User.objects.get(pk=person.pk)
    with pytest.raises(PermissionDenied):
        deny_request(request, actor=person, reason=REASON)
    deny_request(request, actor=decider, reason=REASON)


@pytest.mark.parametrize("end", ["withdrawn", "approved", "denied"])
def test_request_ends_once(end: str) -> None:
    team, decider = new_team(), new_decider()
    member = new_member(team)
    request = ask(member, team)
    acts: dict[str, Callable[[], object]] = {
        "withdrawn": lambda: withdraw_request(request, actor=member),
        "approved": lambda: approve_request(request, actor=decider),
        "denied": lambda: deny_request(request, actor=decider, reason=REASON),
    }
    acts[end]()
    say: Callable[[], object] = partial(comment_on_request, request, actor=member, text="More")
    for act in (*acts.values(), say):
        with pytest.raises(ValidationError, match=f"has been {end}"):
            act()
    assert tags_of(request) == [AuditTag.REQUEST_MADE, f"request.{end}"]
    assert team.grants.count() == (1 if end == "approved" else 0)
    assert ask(member, team, *[row.model for row in request.requested_models.all()])


def test_denial_needs_a_reason_and_gives_nothing() -> None:
    team, decider = new_team(), new_decider()
    member = new_member(team)
    request = ask(member, team)
    assert refused_fields(lambda: deny_request(request, actor=decider, reason=" ")) == ["reason"]
    deny_request(request, actor=decider, reason=f"Use {SECRET} instead.")
    request.refresh_from_db()
    assert request.decision_reason == f"Use {REDACTED} instead."
    assert not team.grants.exists()
    assert told(NotificationKind.REQUEST_DECIDED, request) == {member}


ASK_REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "no model": ({"models": []}, "models"),
    "too many models": ({"models": "many"}, "models"),
    "a draft": ({"models": "draft"}, "models"),
    "a model of others": ({"models": "hidden"}, "models"),
    "no kind of call": ({"scopes": []}, "scopes"),
    "a kind no model has": ({"scopes": [Scope.CHAT, Scope.EMBEDDINGS]}, "scopes"),
    "the wrong kind": ({"scopes": [Scope.EMBEDDINGS]}, "scopes"),
    "a scope of the portal": ({"scopes": [Scope.CHAT, Scope.MANAGE]}, "scopes"),
    "no words": ({"justification": " \n "}, "justification"),
    "many words": ({"justification": "x" * (JUSTIFICATION_MAX + 1)}, "justification"),
    "a null": ({"justification": "a\x00b"}, "justification"),
    "a past end": ({"wanted_until": utc_now() - MINUTE}, "wanted_until"),
    "a far end": ({"wanted_until": days_ahead(400)}, "wanted_until"),
    "no requests": ({"requests_per_minute": 0}, "requests_per_minute"),
    "too many tokens": ({"tokens_per_minute": 1 << 40}, "tokens_per_minute"),
    "another team's account": ({"service_account": "other"}, "service_account"),
    "a disabled account": ({"service_account": "disabled"}, "service_account"),
}


@pytest.mark.parametrize("case", ASK_REFUSED.values(), ids=ASK_REFUSED)
def test_refused_request_is_named_and_not_written(case: tuple[dict[str, object], str]) -> None:
    changes, field = case
    team = new_team()
    member, model = new_member(team), new_offer()
    disabled = new_account(team)
    disable_service_account(disabled, actor=COMMAND, reason=REASON)
    stand_ins: dict[object, Callable[[], object]] = {
        "many": lambda: [new_offer() for _ in range(21)],
        "draft": lambda: [model, new_model()],
        "hidden": lambda: [model, new_offer(visibility="granted")],
        "other": new_account,
        "disabled": lambda: disabled,
    }
    values = {
        name: stand_ins[value]() if isinstance(value, str) and value in stand_ins else value
        for name, value in changes.items()
    }
    assert refused_fields(lambda: ask(member, team, model, **values)) == [field]
    assert not team.access_requests.exists()
    assert ask(member, team, model)


def test_one_open_request_for_a_team_and_model() -> None:
    team, model = new_team(), new_offer()
    member = new_member(team)
    first = ask(member, team, model)
    with pytest.raises(ValidationError, match=model.name):
        ask(new_member(team), team, new_offer(), model)
    assert team.access_requests.get() == first
    elsewhere = new_team()
    assert ask(new_member(elsewhere), elsewhere, model)


def test_disabled_team_asks_for_nothing() -> None:
    team = new_team()
    member = new_member(team)
    disable_team(team, actor=COMMAND, reason=REASON)
    with pytest.raises(Http404):
        ask(member, team)


def test_texts_are_kept_without_what_looks_like_a_secret() -> None:
    team = new_team()
    member = new_member(team)
    assert new_decider()
    request = ask(member, team, justification=f"We used {SECRET} before.")
    comment = comment_on_request(request, actor=member, text=f"{SECRET}!")
    assert request.justification == f"We used {REDACTED} before."
    assert comment.text == f"{REDACTED}!"
    rows = Notification.objects.filter(facts__request_id=str(request.pk))
    assert rows.exists()
    assert all(SECRET not in str(row.facts) for row in rows)


def test_those_who_decide_are_told_of_a_request_and_its_maker_is_not() -> None:
    team, decider, other = new_team(), new_decider(), new_person()
    administrator = new_person(is_administrator=True)
    team.memberships.create(person=administrator, role=Role.OWNER)
    people = told(NotificationKind.REQUEST_MADE, ask(administrator, team))
    assert decider in people
    assert not {administrator, other} & people
    assert {decider, administrator} <= told(
        NotificationKind.REQUEST_MADE, ask(new_member(team), team)
    )


def test_withdrawal_is_told_to_those_who_were_told_of_the_request() -> None:
    team, decider, resigned, disabled = (new_team(), new_decider(), new_decider(), new_decider())
    manager = new_decider()
    team.memberships.create(person=manager, role=Role.MANAGER)
    request, other = ask(new_member(team), team), ask(new_member(team), team)
    later = new_decider()
    resigned.portal_roles.all().delete()
    disable_person(disabled, actor=COMMAND, reason=REASON)
    assert {decider, resigned, disabled, manager} <= told(NotificationKind.REQUEST_MADE, request)
    withdraw_request(request, actor=manager)
    people = told(NotificationKind.REQUEST_WITHDRAWN, request)
    assert decider in people
    assert not {resigned, disabled, manager, later, request.requested_by} & people
    assert not told(NotificationKind.REQUEST_WITHDRAWN, other)


def test_comment_is_told_to_the_other_side() -> None:
    team, decider, silent = new_team(), new_decider(), new_decider()
    member = new_member(team)
    request = ask(member, team)
    comment_on_request(request, actor=member, text="Is this enough?")
    assert {decider, silent} <= told(NotificationKind.REQUEST_COMMENTED, request)
    Notification.objects.filter(facts__request_id=str(request.pk)).delete()
    comment_on_request(request, actor=decider, text="For which data?")
    assert told(NotificationKind.REQUEST_COMMENTED, request) == {member}
    Notification.objects.filter(facts__request_id=str(request.pk)).delete()
    comment_on_request(request, actor=member, text="Internal alone.")
    assert told(NotificationKind.REQUEST_COMMENTED, request) == {decider}


def test_comments_are_bounded_in_length_and_number() -> None:
    team = new_team()
    member = new_member(team)
    request = ask(member, team)
    for text in ("", " ", "x" * (COMMENT_MAX + 1), "\x00"):
        say = partial(comment_on_request, request, actor=member, text=text)
        assert refused_fields(say) == ["text"]
    request.comments.bulk_create(
        [request.comments.model(request=request, text="x") for _ in range(COMMENTS_MAX - 1)]
    )
    comment_on_request(request, actor=member, text="The last one.")
    assert refused_fields(lambda: comment_on_request(request, actor=member, text="x")) == ["text"]


def test_end_that_has_passed_since_is_not_granted() -> None:
    team, decider = new_team(), new_decider()
    request = ask(new_member(team), team, wanted_until=tomorrow())
    past = utc_now() - MINUTE
    AccessRequest.objects.filter(pk=request.pk).update(wanted_until=past)
    assert refused_fields(lambda: approve_request(request, actor=decider)) == ["ends_at"]
    assert status_of(request) == RequestStatus.OPEN


def test_a_request_keeps_the_step_it_needs_and_the_class_of_data_it_names() -> None:
    public, secret = new_offer(data_class="public"), new_offer(data_class="secret")
    team = new_team()
    request = ask(new_member(team), team, public, secret)
    assert request.data_class == DataClass.SECRET
    (step,) = request.steps.all()
    assert (step.by, step.needs, step.version, step.met_at) == (StepBy.DECIDERS, 1, None, None)
    assert step.turn_at is not None
    other = new_team()
    fields = refused_fields(
        lambda: ask(new_member(other), other, public, secret, data_class=DataClass.INTERNAL)
    )
    assert fields == ["data_class"]
    assert ask(new_member(other), other, secret, data_class=DataClass.INTERNAL).pk


def test_a_budget_is_asked_for_a_whole_team_alone() -> None:
    account = new_account()
    member = new_member(account.team)
    for_account = partial(ask, member, account.team, budget_micro_usd=5, service_account=account)
    assert refused_fields(for_account) == ["budget_micro_usd"]
    assert ask(member, account.team, budget_micro_usd=5).budget_micro_usd == 5
