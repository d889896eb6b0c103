"""Each act of the admin does what it says, once, in one transaction with an entry of who did it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Model
from django.test import Client
from pytest_django import DjangoDbBlocker

from accounts.audit import COMMAND
from accounts.models import (
    ApiKey,
    AuditEntry,
    CustomRole,
    DecoyKey,
    Invitation,
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
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import PortalRight, Right
from accounts.writes.key_rotation import rotate_key
from accounts.writes.portal_roles import give_portal_role
from accounts.writes.sign_on import replace_encryption_key
from models_registry.models import (
    AccessRequest,
    AiModel,
    ApprovalPolicy,
    Deployment,
    Grant,
    Limit,
    Provider,
)
from models_registry.writes.policies import add_version, switch_on
from tests.accounts.rows import (
    new_account,
    new_member,
    new_name,
    new_person,
    new_portal_role,
    new_team,
    new_team_role,
    tomorrow,
)
from tests.accounts.second_factor import give_app
from tests.accounts.sign_on_rows import new_mapping
from tests.accounts.workload.issuing import PUBLISHED, new_issuer, new_rule
from tests.models_registry.rows import new_offer, new_provider
from tests.portal.admin.test_access import signed_in
from tests.portal.admin.test_pages import ACTS, address
from tests.portal.admin.world import hostile_world, parts

pytestmark = pytest.mark.django_db
REASON = {"reason": "It was found in a log."}
FACTS = {
    "data_class": "secret",
    "visibility": "granted",
    "context_tokens": "4096",
    "max_output_tokens": "128",
    "tokens_per_byte": "0.5",
    "price_input": "1",
    "price_cached_input": "1",
    "price_output": "1",
    "output_cap_member": "max_tokens",
    "hang_up": "drain",
}
BOUNDS = {
    "networks": "10.0.0.0/8\n2001:db8::/32",
    "days": ["mon", "fri"],
    "begins": "08:00",
    "ends": "18:00",
    "zone": "Europe/Berlin",
}
BELIEVED = {"audiences": "https://a.test\nb", "algorithms": ["ES256"], "max_token_age_s": "600"}
LATER = {"ends_at": "2099-01-01T00:00"}
CONNECTION = {
    "name": "Corp",
    "issuer": "https://idp.latchkey.test",
    "client_id": "latchkey",
    "domains": "corp.example, corp.test",
    "is_enabled": "on",
}
# What is sent for each act, and the tag of the entry it leaves; None for the test, which changes nothing.
DONE: dict[tuple[type[Model], str], tuple[dict[str, Any], str | None]] = {
    (SignOnConnection, "change"): (CONNECTION, "sign_on.changed"),
    (SignOnConnection, "map-group"): ({"group": "leads", "role": "member"}, "sign_on.group_mapped"),
    (SignOnConnection, "new-encryption-key"): ({}, "sign_on.changed"),
    (SignOnConnection, "remove-encryption-key"): ({}, "sign_on.changed"),
    (SignOnMapping, "remove"): ({}, "sign_on.group_unmapped"),
    (User, "remove-second-factors"): (REASON, "person.second_factor_removed"),
    (User, "give-role"): (REASON | {"role": "approver"}, "person.portal_role_changed"),
    (User, "take-role"): (REASON | {"role": "approver"}, "person.portal_role_changed"),
    (CustomRole, "change"): (
        REASON | {"name": "Another", "rights": ["see_audit"]},
        "role.changed",
    ),
    (CustomRole, "remove"): ({}, "role.removed"),
    (Proposal, "confirm"): ({}, "proposal.confirmed"),
    (Proposal, "refuse"): (REASON, "proposal.refused"),
    (Proposal, "withdraw"): ({}, "proposal.withdrawn"),
    (Limit, "propose-removal"): (REASON, "limit.removed"),
    (User, "disable"): (REASON, "person.disabled"),
    (User, "enable"): ({}, "person.enabled"),
    (Team, "change"): ({"name": "Another name", "cost_centre": "1"}, "team.changed"),
    (Team, "bounds"): (BOUNDS, "bounds.changed"),
    (Team, "disable"): (REASON, "team.disabled"),
    (Team, "enable"): ({}, "team.enabled"),
    (Membership, "role"): ({"role": "manager"}, "member.role_changed"),
    (Membership, "remove"): ({}, "member.removed"),
    (ServiceAccount, "bounds"): (BOUNDS, "bounds.changed"),
    (ServiceAccount, "disable"): (REASON, "service_account.disabled"),
    (ServiceAccount, "enable"): ({}, "service_account.enabled"),
    (Invitation, "withdraw"): ({}, "invitation.withdrawn"),
    (ApiKey, "bounds"): (BOUNDS, "bounds.changed"),
    (TrustedIssuer, "change"): (BELIEVED | {"pasted_keys": PUBLISHED}, "issuer.changed"),
    (TrustedIssuer, "disable"): (REASON, "issuer.disabled"),
    (TrustedIssuer, "enable"): ({}, "issuer.enabled"),
    (TrustRule, "change"): (
        {"scopes": ["embeddings"], "networks": "10.0.0.0/8", "expires_at": "2099-01-01T00:00"},
        "trust_rule.changed",
    ),
    (TrustRule, "disable"): (REASON, "trust_rule.disabled"),
    (TrustRule, "enable"): ({}, "trust_rule.enabled"),
    (OAuthApplication, "disable"): (REASON, "oauth_client.disabled"),
    (OAuthApplication, "enable"): ({}, "oauth_client.enabled"),
    (OAuthApplication, "remove"): ({}, "oauth_client.removed"),
    (ApiKey, "enable"): ({}, "key.enabled"),
    (ApiKey, "end-old-secret"): ({}, "key.old_secret_ended"),
    (ApiKey, "revoke"): (REASON, "key.revoked"),
    (DecoyKey, "end"): ({}, "decoy.ended"),
    (Notification, "send-again"): ({}, "mail.sent_again"),
    (WebhookDelivery, "deliver-again"): ({}, "webhook.delivered_again"),
    (AiModel, "change"): (FACTS, "model.changed"),
    (AiModel, "deploy"): ({"upstream_name": "other", "position": "3"}, "deployment.added"),
    (AiModel, "publish"): ({}, "model.status_changed"),
    (AiModel, "deprecate"): ({"sunset_at": "2099-01-01T00:00"}, "model.status_changed"),
    (AiModel, "retire"): ({}, "model.status_changed"),
    (Deployment, "switch-on"): ({}, "deployment.changed"),
    (Deployment, "switch-off"): ({}, "deployment.changed"),
    (Deployment, "move"): ({"position": "9"}, "deployment.changed"),
    (Provider, "change"): (
        {"base_url": "http://127.0.0.1:9/v2", "save_anyway": "on"},
        "provider.changed",
    ),
    (Grant, "end"): (REASON, "grant.ended"),
    (Limit, "change"): ({"amount": "0.5", "zone": "UTC"}, "limit.changed"),
    (Limit, "remove"): ({}, "limit.removed"),
    (ApprovalPolicy, "new-version"): ({"steps": "1 security x2"}, "policy.version_added"),
    (ApprovalPolicy, "switch-on"): (REASON | {"version": "1"}, "policy.switched_on"),
    (ApprovalPolicy, "switch-off"): (REASON, "policy.switched_off"),
    (AccessRequest, "approve"): ({}, "request.approved"),
    (AccessRequest, "approve-as-asked"): ({"reason": ""}, "request.approved"),
    (AccessRequest, "deny"): (REASON, "request.denied"),
    (AccessRequest, "comment"): ({"text": "Why so much?"}, "request.commented"),
}
# Done in tests/portal/admin/test_providers.py.
ELSEWHERE = {(Provider, "test")}


# What an act is pointed at, which is made for it.
MADE: dict[str, tuple[str, Callable[[], Model]]] = {
    "deploy": ("provider", new_provider),
    "map-group": ("team", new_team),
}


def prepare_person(person: User, act: str) -> None:
    """Give the person what the act takes away."""
    if act == "remove-second-factors":
        give_app(person)
    if act == "take-role":
        give_portal_role(person, role=PortalRole.APPROVER, actor=COMMAND)


def prepare_saml(connection: SignOnConnection) -> None:
    """Let it speak SAML, and have a key."""
    SignOnConnection.objects.filter(pk=connection.pk).update(kind="saml")
    replace_encryption_key(connection, actor=COMMAND)


def prepare_rotated(key: ApiKey) -> None:
    """Let it have an old secret."""
    rotate_key(key, actor=COMMAND)


def prepare_policy(policy: ApprovalPolicy) -> None:
    """Let it approve everything, so that one person alone may switch it off."""
    switch_on(add_version(policy, steps=[], actor=COMMAND), actor=COMMAND)


def nothing(found: Any) -> None:
    """What needs nothing."""


# What is done to the object before the act.
PREPARED: dict[tuple[type[Model], str], Callable[[Any], None]] = {
    (ApiKey, "end-old-secret"): prepare_rotated,
    (ApprovalPolicy, "switch-off"): prepare_policy,
    (SignOnConnection, "new-encryption-key"): prepare_saml,
    (SignOnConnection, "remove-encryption-key"): prepare_saml,
}


def prepared(world: dict[type[Model], Any], model: type[Model], act: str) -> dict[str, Any]:
    """Bring the object to where the act is possible; return what is sent beside the table's values."""
    found = world[model]
    opposite: dict[str, dict[str, Any]] = {}
    if model is User:
        prepare_person(found, act)
        opposite = {"enable": {"is_active": False}}
    PREPARED.get((model, act), nothing)(found)
    if model is OAuthApplication:
        opposite = {"enable": {"disabled_at": found.created, "disabled_reason": "It leaked."}}
    elif act == "enable" and model is not User:
        opposite = {"enable": {"disabled_at": found.created_at}}
    if (model, act) == (Deployment, "switch-on"):
        opposite = {act: {"enabled": False}}
    if act == "publish":
        opposite = {act: {"status": "draft"}}
    if act in opposite:
        model._default_manager.filter(pk=found.pk).update(**opposite[act])
    if (model, act) == (AccessRequest, "approve"):
        until = f"{found.wanted_until:%Y-%m-%dT%H:%M}"
        models = [str(named.model_id) for named in found.requested_models.all()]
        return {"models": models, "scopes": found.scopes, "ends_at": until}
    if act in MADE:
        name, make = MADE[act]
        return {name: str(make().pk)}
    if model is Membership:
        # A team keeps an owner whoever leaves.
        new_owner = new_member(found.team, Role.OWNER)
        assert new_owner.is_active
    return {}


def test_every_act_stands_in_the_table() -> None:
    known = {(model, act.name) for model, act in ACTS}
    assert known == set(DONE) | ELSEWHERE


def proposer_of(world: dict[type[Model], Any]) -> User:
    found: User = world[Proposal].proposed_by
    return found


@pytest.fixture(scope="module")
def made_once(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[type[Model], Model]]:
    """Rows that every act of this module finds as they were: what each does is taken back."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield hostile_world()
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("model", "act"), DONE, ids=[f"{model.__name__}-{act}" for model, act in DONE]
)
def test_act_is_done_once_with_an_entry_of_who_did_it(
    made_once: dict[type[Model], Model], model: type[Model], act: str
) -> None:
    # What a write leaves on the object is not for the next test.
    world = made_once | {model: model._default_manager.get(pk=made_once[model].pk)}
    values, tag = DONE[model, act]
    administrator = new_person(is_administrator=True)
    if act == "withdraw" and model is Proposal:
        administrator = proposer_of(world)
    more = prepared(world, model, act)
    client, before = signed_in(administrator), AuditEntry.objects.latest("id").pk
    page = address(model, "act", world[model].pk, act)
    assert client.get(page).status_code == 200
    assert AuditEntry.objects.latest("id").pk == before
    reply = client.post(page, values | more)
    assert reply.status_code == 302, reply.content.decode()[-3000:]
    new = AuditEntry.objects.filter(pk__gt=before)
    proposers = {proposer_of(world).pk} if model is Proposal else set()
    assert set(new.values_list("actor_id", flat=True)) - proposers <= {administrator.pk}
    assert list(new.filter(tag=tag).values_list("tag", flat=True)) == [tag]
    assert client.get(reply["Location"]).status_code == 200
    # Django's own log would be a second trail, without the database's protection.
    assert not LogEntry.objects.exists()


def test_prices_are_entered_in_dollars_and_kept_in_millionths(administrator: Client) -> None:
    model = new_offer(price_input=150_000, price_output=2**63 - 1, price_reasoning=None)
    page = address(AiModel, "act", model.pk, "change")
    form = administrator.get(page).content.decode()
    for text in ("0.15", "9223372036854.775807"):
        assert f'value="{text}"' in form
    sent = FACTS | {"price_input": "0.000001", "price_output": "12.5", "price_reasoning": ""}
    assert administrator.post(page, sent).status_code == 302
    model.refresh_from_db()
    assert (model.price_input, model.price_output, model.price_reasoning) == (1, 12_500_000, None)
    for wrong in ("0.0000001", "-1", "9223372036854.775808", "cheap", "NaN", "Infinity", "1e30"):
        assert administrator.post(page, FACTS | {"price_input": wrong}).status_code == 200
    model.refresh_from_db()
    assert model.price_input == 1


@pytest.mark.parametrize("act", ["disable", "revoke", "end"])
def test_act_that_wants_a_reason_is_not_done_without(administrator: Client, act: str) -> None:
    world = hostile_world()
    model = {"disable": Team, "revoke": ApiKey, "end": Grant}[act]
    before = AuditEntry.objects.count()
    for reason in ("", "  ", "x" * 501):
        page = address(model, "act", world[model].pk, act)
        assert administrator.post(page, {"reason": reason}).status_code == 200
    assert AuditEntry.objects.count() == before


def added(model: type[Model]) -> dict[str, Any]:
    """What is sent to make one of the model."""
    team = new_team()
    sent: dict[type[Model], dict[str, Any]] = {
        Team: {"name": new_name("team"), "cost_centre": ""},
        CustomRole: REASON | {"name": new_name("role"), "rights": ["see_calls"]},
        Membership: {"team": team.pk, "email": new_person().email.upper(), "role": "member"},
        ServiceAccount: {"team": team.pk, "name": "app", "description": ""},
        Invitation: {"team": team.pk, "email": f"{new_name('x')}@latchkey.test", "role": "member"},
        AiModel: FACTS | {"name": new_name("model"), "kind": "chat"},
        ApprovalPolicy: {"name": new_name("policy"), "steps": "1 manager", "budget_over": "20"},
        Grant: LATER | {"model": new_offer().pk, "team": team.pk, "scopes": ["chat"]},
        Limit: {
            "team": team.pk,
            "measure": "micro_usd",
            "period": "calendar_month",
            "amount": "0.5",
            "alert_percents": "80, 100 %",
        },
        SignOnConnection: CONNECTION | {"kind": "oidc", "slug": new_name("s"), "secret": "x" * 20},
        TrustedIssuer: BELIEVED
        | {
            "name": new_name("issuer"),
            "issuer": "https://issuer.latchkey.test",
            "key_source": "pasted",
            "pasted_keys": PUBLISHED,
        },
        TrustRule: {
            "service_account": new_account(team).pk,
            "issuer": new_issuer().pk,
            "name": "CI",
            "subject_pattern": "repo:acme/*",
            "claims": "environment = production, staging",
            "scopes": ["chat"],
        },
        Provider: {
            "name": new_name("p"),
            "base_url": "http://127.0.0.1:9/v1",
            "save_anyway": "on",
        },
    }
    return sent[model]


# A decoy is shown in the answer to its form, and nowhere else; tests of decoys look at that.
ADDED = [model for model, part in parts().items() if part.add_act and model is not DecoyKey]


@pytest.mark.parametrize("model", ADDED, ids=lambda model: model.__name__)
def test_what_is_added_leads_to_its_page_and_has_an_entry(model: type[Model]) -> None:
    administrator = new_person(is_administrator=True)
    client = signed_in(administrator)
    reply = client.post(address(model, "add"), added(model))
    assert reply.status_code == 302, reply.content.decode()[-3000:]
    assert reply["Location"].endswith("/change/")
    assert client.get(reply["Location"]).status_code == 200
    assert AuditEntry.objects.filter(actor_id=administrator.pk).exists()


def test_what_a_write_refuses_stands_in_the_form(administrator: Client) -> None:
    taken = new_team()
    reply = administrator.post(address(Team, "add"), {"name": taken.name})
    assert reply.status_code == 200
    assert "already exists" in reply.content.decode()
    both = LATER | {"model": new_offer().pk, "scopes": ["chat"]}
    assert administrator.post(address(Grant, "add"), both).status_code == 200
    ended = both | {"team": taken.pk, "ends_at": "2020-01-01T00:00"}
    assert "lies in the past" in administrator.post(address(Grant, "add"), ended).content.decode()
    limit = {"team": taken.pk, "measure": "requests", "period": "hour", "amount": "1.5"}
    assert "whole number" in administrator.post(address(Limit, "add"), limit).content.decode()
    nobodys = limit | {"email": "nobody@latchkey.test", "amount": "1"}
    assert "Nobody has" in administrator.post(address(Limit, "add"), nobodys).content.decode()
    shapeless = limit | {"amount": "1", "team": ""}
    assert "A limit is of" in administrator.post(address(Limit, "add"), shapeless).content.decode()
    unknown = {"team": taken.pk, "email": "nobody@latchkey.test", "role": "member"}
    assert administrator.post(address(Membership, "add"), unknown).status_code == 200


def test_act_without_a_token_against_forgery_is_refused() -> None:
    strict, person = Client(enforce_csrf_checks=True), new_person()
    strict.force_login(new_person(is_administrator=True))
    reply = strict.post(address(User, "act", person.pk, "disable"), REASON)
    assert reply.status_code == 403
    person.refresh_from_db()
    assert person.is_active


def test_selection_of_too_many_does_nothing(administrator: Client) -> None:
    world = hostile_world()
    key = world[ApiKey]
    assert isinstance(key, ApiKey)
    values = {field.attname: getattr(key, field.attname) for field in ApiKey._meta.fields}
    for name in ("id", "public_id"):
        values.pop(name)
    rows = ApiKey.objects.bulk_create(
        ApiKey(**values, public_id=new_name("")[-12:]) for _ in range(51)
    )
    chosen = {"action": "revoke", "_selected_action": [str(row.pk) for row in rows]} | REASON
    reply = administrator.post(
        address(ApiKey, "changelist"), chosen | {"confirmed": 1}, follow=True
    )
    assert "Choose at most 50" in reply.content.decode()
    assert not ApiKey.objects.filter(team=key.team_id, revoked_at__isnull=False).exists()


def test_group_is_mapped_to_a_role_of_the_chosen_teams_own_and_of_no_other(
    administrator: Client,
) -> None:
    mapping, team = new_mapping(new_team()), new_team()
    own, other = new_team_role(team, Right.SEE_USAGE), new_team_role(new_team(), Right.SEE_USAGE)
    page = address(SignOnConnection, "act", mapping.connection_id, "map-group")
    sent = {"group": "auditors", "team": team.pk}
    for wrong in (other.pk, new_portal_role(PortalRight.SEE_CALLS).pk, "owners", ""):
        assert administrator.post(page, sent | {"role": wrong}).status_code == 200
    assert administrator.post(page, sent | {"role": own.pk}).status_code == 302
    assert mapping.connection.mappings.get(group="auditors").custom_role == own
    shown = administrator.get(address(SignOnConnection, "change", mapping.connection_id))
    assert own.name in shown.content.decode()


def test_end_of_a_rule_that_nobody_touched_stays_to_the_second(administrator: Client) -> None:
    rule, end = new_rule(new_issuer(), new_account()), tomorrow().replace(second=7)
    TrustRule.objects.filter(pk=rule.pk).update(expires_at=end)
    sent = {"scopes": ["embeddings"], "networks": "", "expires_at": f"{end:%Y-%m-%dT%H:%M}"}
    page = address(TrustRule, "act", rule.pk, "change")
    assert administrator.post(page, sent).status_code == 302
    rule.refresh_from_db()
    assert (rule.scopes, rule.expires_at) == (["embeddings"], end)
