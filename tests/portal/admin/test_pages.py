"""Every page of the admin opens, shows text as text (T23), needs nothing the policy forbids, and asks little of the database."""

import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from accounts.models import (
    ApiKey,
    AuditEntry,
    CaughtMail,
    CustomRole,
    DecoyKey,
    Invitation,
    Leak,
    Membership,
    Notification,
    OAuthApplication,
    Proposal,
    ServiceAccount,
    SignOnConnection,
    SignOnMapping,
    Team,
    TrustedIssuer,
    TrustRule,
    User,
    WebhookDelivery,
)
from models_registry.models import (
    AccessRequest,
    AiModel,
    ApprovalPolicy,
    Deployment,
    Grant,
    Limit,
    Provider,
    RequestedModel,
)
from portal.lib.ids import new_id
from proxy.models import Call, UsageDay, UsageHour
from tests.accounts.rows import new_name, new_webhook
from tests.models_registry.rows import CREDENTIAL
from tests.portal.admin.world import ESCAPED, HOSTILE, call_facts, hostile_world, parts
from tests.walks import IS_WHOLE

pytestmark = pytest.mark.django_db
FORBIDDEN = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)|(?:src|href|action)=.(?:https?:)?//",
    re.IGNORECASE,
)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Django's own words for a model's list, page and form.
ACTS = [(model, act) for model, part in parts().items() for act in part.acts]
QUERIES_MAX = 12
MANY = 60


World = dict[type[Model], Model]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Made once, and taken back after the module's last test; what a test makes beside it goes with the test."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield hostile_world()
        transaction.set_rollback(True)


def address(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def text_of(reply: Any) -> str:
    assert isinstance(reply, HttpResponse)
    assert reply.status_code == 200, (reply.status_code, reply.content[:500])
    return reply.content.decode()


def assert_harmless(page: str) -> None:
    """No payload stands in the page as markup, and nothing in it needs an exception from the policy."""
    assert HOSTILE not in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    outside = re.sub(r"&lt;.*?&gt;", "", page)
    assert not FORBIDDEN.search(outside), FORBIDDEN.search(outside)
    attributes = re.findall(r"""\s(?:x-|hx-|:|@)[^=\s>]*=("[^"]*"|'[^']*')""", page)
    assert not any("alert(" in value for value in attributes)
    assert CREDENTIAL not in page


def test_every_part_of_the_admin_is_tried_here(world: World) -> None:
    assert set(world) == set(parts())


@pytest.mark.parametrize("model", parts(), ids=lambda model: model._meta.label)
def test_list_page_form_and_trail_of_each_part_show_hostile_text_as_text(
    administrator: Client, world: World, model: type[Model]
) -> None:
    found = world[model]
    assert_harmless(text_of(administrator.get(address(model, "changelist"))))
    page = text_of(administrator.get(address(model, "change", found.pk)))
    assert_harmless(page)
    assert ESCAPED in page or model in {Provider, Invitation}
    adding = administrator.get(address(model, "add"))
    assert adding.status_code == (200 if parts()[model].add_act else 404)
    if adding.status_code == 200:
        assert_harmless(adding.content.decode())
    assert administrator.get(address(model, "delete", found.pk)).status_code == 404
    trail = administrator.get(address(model, "history", found.pk))
    if trail.status_code == 302:
        assert_harmless(text_of(administrator.get(trail["Location"])))
    else:
        assert trail.status_code == 404
        assert parts()[model].trail_of(found) is None


@pytest.mark.parametrize(("model", "act"), ACTS, ids=lambda value: getattr(value, "name", ""))
def test_page_of_each_act_shows_hostile_text_as_text(
    administrator: Client, world: World, model: type[Model], act: Any
) -> None:
    found = world[model]
    assert_harmless(text_of(administrator.get(address(model, "act", found.pk, act.name))))


@pytest.mark.parametrize(
    ("model", "act"),
    [(model, act) for model, act in ACTS if act.is_bulk],
    ids=lambda value: getattr(value, "name", ""),
)
def test_act_for_several_asks_first_and_shows_hostile_text_as_text(
    administrator: Client, world: World, model: type[Model], act: Any
) -> None:
    found = world[model]
    chosen = {"action": act.name, "index": 0, "_selected_action": [str(found.pk)]}
    page = text_of(administrator.post(address(model, "changelist"), chosen))
    assert_harmless(page)
    assert 'name="confirmed"' in page


# One function searches every list; each list meets half of them, and each of them half of the lists.
SEARCHES = ["%_%", "\x00", "' OR 1=1 --", "x" * 5000, HOSTILE, "lk_a_b"]


@pytest.mark.parametrize(
    ("model", "query"),
    [(model, query) for number, model in enumerate(parts()) for query in SEARCHES[number % 2 :: 2]],
    ids=lambda value: "" if isinstance(value, str) else value._meta.label,
)
def test_search_for_anything_is_answered(
    administrator: Client, model: type[Model], query: str
) -> None:
    reply = administrator.get(address(model, "changelist"), {"q": query})
    assert reply.status_code == 200
    assert_harmless(reply.content.decode())


@pytest.mark.parametrize("model", parts(), ids=lambda model: model._meta.label)
def test_every_filter_of_a_list_is_answered(
    administrator: Client, world: World, model: type[Model]
) -> None:
    page = text_of(administrator.get(address(model, "changelist")))
    for name, options in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', page, re.DOTALL):
        values = re.findall(r'<option value="([^"]+)"', options)
        for value in [*different(values)[: 40 if IS_WHOLE else 2], HOSTILE]:
            reply = administrator.get(address(model, "changelist"), {name: value})
            assert reply.status_code in {200, 302}, (name, value)


def different(values: list[str]) -> list[str]:
    """Every choice of a closed set; of rows, whose ids alone differ, those that the page names first."""
    rows = [value for value in values if UUID.fullmatch(value)]
    return [value for value in values if value not in rows[5:]]


def test_home_names_what_waits(administrator: Client, world: World) -> None:
    page = text_of(administrator.get("/admin/"))
    assert_harmless(page)
    for model in (AccessRequest, Notification, ApiKey, Grant):
        assert address(model, "change", world[model].pk) in page
    with CaptureQueriesContext(connection) as queries:
        administrator.get("/admin/")
    assert len(queries) <= QUERIES_MAX, [query["sql"][:120] for query in queries]


def test_side_bar_is_there_without_scripts_on_a_narrow_screen(administrator: Client) -> None:
    page = text_of(administrator.get("/admin/"))
    [plain] = re.findall(r"<noscript>\s*<details.*?</details>\s*</noscript>", page, re.DOTALL)
    assert {address(model, "changelist") for model in parts() if model is not Deployment} <= set(
        re.findall(r'href="([^"]+)"', plain)
    )


def test_no_app_page_shows_more_than_its_parts(administrator: Client) -> None:
    for app in ("accounts", "models_registry", "proxy"):
        page = text_of(administrator.get(f"/admin/{app}/"))
        assert_harmless(page)
        # Of what the OAuth library would show there, the clients alone, as a part of ours.
        assert "oauth" not in page.lower().replace("oauthapplication", "").replace(
            "oauth client", ""
        )


def more_of(model: type[Model], sample: Model) -> None:
    """Make MANY more rows of the model, each with relations of its own where it shows any."""
    teams = Team.objects.bulk_create(
        Team(name=new_name("team"), slug=new_name("slug")) for _ in range(MANY)
    )
    people = User.objects.bulk_create(
        User(email=f"{new_name('p')}@latchkey.test", password="!") for _ in range(MANY)
    )
    accounts = ServiceAccount.objects.bulk_create(
        ServiceAccount(team=team, name=new_name("app")) for team in teams
    )
    models = AiModel.objects.bulk_create(
        AiModel(name=new_name("model"), kind="chat", context_tokens=1, owner=team) for team in teams
    )
    if model in {Team, User, ServiceAccount, AiModel}:
        return
    rows = [
        _copy(model, sample, team=team, person=person, account=account, ai=ai)
        for team, person, account, ai in zip(teams, people, accounts, models, strict=True)
    ]
    model._default_manager.bulk_create(rows)
    if model is AccessRequest:
        RequestedModel.objects.bulk_create(
            RequestedModel(request=row, team=row.team, model=ai)
            for row, ai in zip(rows, models, strict=True)
            if isinstance(row, AccessRequest)
        )


def _copy(
    model: type[Model],
    sample: Any,
    *,
    team: Team,
    person: User,
    account: ServiceAccount,
    ai: AiModel,
) -> Model:
    if model is Membership:
        return Membership(team=team, person=person, role="member")
    if model in {Call, UsageHour, UsageDay}:
        values = {field.attname: getattr(sample, field.attname) for field in model._meta.fields}
        values["id"] = new_id() if model is Call else None
        values.update(team_id=team.pk, model_id=ai.pk)
        return model(**values)
    values = {field.attname: getattr(sample, field.attname) for field in model._meta.fields}
    values["id"] = None if model in {AuditEntry, OAuthApplication, SignOnMapping} else new_id()
    own: dict[type[Model], dict[str, Any]] = {
        ApiKey: {
            "public_id": new_name("")[-12:],
            "service_account_id": account.pk,
            "team_id": team.pk,
        },
        DecoyKey: {"public_id": new_name("")[-12:]},
        Leak: {"place_digest": secrets.token_bytes(32)},
        AuditEntry: {"team_id": team.pk, "actor_id": person.pk},
        Notification: {"person_id": person.pk, "email": person.email},
        CaughtMail: {},
        WebhookDelivery: {"webhook": new_webhook(team)},
        Invitation: {"team_id": team.pk},
        Provider: {"name": new_name("provider")},
        TrustedIssuer: {"name": new_name("i"), "issuer": f"https://{new_name('i')}.test"},
        TrustRule: {"team_id": team.pk, "name": new_name("rule")},
        OAuthApplication: {
            "team_id": team.pk,
            "client_id": new_name("client"),
            "credential_id": new_id(),
        },
        Deployment: {"model_id": ai.pk},
        Grant: {"service_account_id": account.pk, "model_id": ai.pk},
        Limit: {"team_id": team.pk},
        ApprovalPolicy: {"name": new_name("policy")},
        SignOnConnection: {"slug": new_name("slug"), "sealed_secret": None},
        SignOnMapping: {"team_id": team.pk},
        CustomRole: {"name": new_name("role")},
        Proposal: {"proposed_by_id": person.pk},
        AccessRequest: {"team_id": team.pk, "requested_by_id": person.pk},
    }
    return model(**(values | own[model]))


@pytest.mark.parametrize("model", parts(), ids=lambda model: model._meta.label)
def test_queries_of_a_list_do_not_grow_with_its_rows(
    administrator: Client, world: World, model: type[Model]
) -> None:
    sample = world[model]
    more_of(model, sample)
    with CaptureQueriesContext(connection) as queries:
        page = text_of(administrator.get(address(model, "changelist")))
    assert page.count("data-row") >= 50
    assert len(queries) <= QUERIES_MAX, [query["sql"][:120] for query in queries]


def test_ledger_is_never_counted_from_end_to_end(administrator: Client, world: World) -> None:
    call = world[Call]
    assert isinstance(call, Call)
    Call.objects.create(**call_facts(Team.objects.get(pk=call.team_id), new_id(), call.key_id))
    with CaptureQueriesContext(connection) as queries:
        administrator.get(address(Call, "changelist"))
    about_calls = [query["sql"] for query in queries if 'FROM "proxy_call"' in query["sql"]]
    assert about_calls
    assert all('"proxy_call"."id" >= ' in sql and "LIMIT" in sql for sql in about_calls)
