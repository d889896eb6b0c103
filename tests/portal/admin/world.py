"""One row of everything the admin shows, with hostile text in every field that takes any."""

import datetime
import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Model

from accounts.audit import COMMAND, record_audit
from accounts.models import (
    AuditEntry,
    CaughtMail,
    Invitation,
    IssuerFetch,
    KeyUse,
    Notification,
    OAuthApplication,
    ServiceAccount,
    SignOnConnection,
    Team,
    User,
    Webhook,
    WebhookDelivery,
)
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.notifications import NotificationState
from accounts.models.teams import Role
from accounts.models.webhooks import DeliveryState
from accounts.roles import PortalRight
from accounts.two_person_roles import ask_to_give
from accounts.writes.custom_roles import make_portal_role
from accounts.writes.decoys import issue_decoy
from accounts.writes.keys import issue_key
from accounts.writes.teams import add_member, create_service_account, create_team
from models_registry.models import (
    AccessRequest,
    ApprovalPolicy,
    Deployment,
    Grant,
    Provider,
    StepBy,
)
from models_registry.policy_rules import Step
from models_registry.writes.grants import grant_model
from models_registry.writes.requests import comment_on_request
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from proxy.models import Call, UsageDay, UsageHour
from tests.accounts.leaks.rows import new_leak
from tests.accounts.oauth.world import new_machine
from tests.accounts.rows import new_name, new_person, new_webhook, tomorrow
from tests.accounts.sign_on_rows import new_mapping
from tests.accounts.workload.issuing import new_issuer, new_rule
from tests.models_registry.rows import (
    ask,
    new_decider,
    new_deployment,
    new_limit,
    new_offer,
    new_policy,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def hostile(text: str = "") -> str:
    return f"{HOSTILE}{text}"


def call_facts(team: Team, model_id: uuid.UUID, key_id: uuid.UUID) -> dict[str, Any]:
    """A row of the ledger with every column."""
    figures = [
        "reserved_tokens",
        "price_input_micro_usd_per_million",
        "price_cached_micro_usd_per_million",
        "price_output_micro_usd_per_million",
        "http_status",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_micro_usd",
        "duration_us",
        "upstream_us",
        "first_byte_us",
        "attempts",
        "answer_bytes",
    ]
    texts = ("kind", "peer", "request_id", "purpose", "status", "code")
    return {
        "id": new_id(),
        "admitted_at": utc_now(),
        "team_id": team.pk,
        "key_id": key_id,
        "model_id": model_id,
        "stream": True,
        "usage_estimated": False,
        **dict.fromkeys(figures, 7),
        **dict.fromkeys(texts, HOSTILE),
    }


def usage_facts(call: Call) -> dict[str, Any]:
    sums = (
        "calls input_tokens cached_tokens output_tokens reasoning_tokens cost_micro_usd duration_us"
    )
    return {
        "hour": utc_now().replace(minute=0, second=0, microsecond=0),
        "team_id": call.team_id,
        "key_id": call.key_id,
        "model_id": call.model_id,
        "status": HOSTILE,
        **dict.fromkeys(sums.split(), 7),
    }


def _usage_day(call: Call) -> UsageDay:
    facts = usage_facts(call)
    return UsageDay.objects.create(day=facts.pop("hour").date(), **facts)


def hostile_world() -> dict[type[Model], Model]:
    """Rows by their model, one for each part of the admin."""
    team = create_team(hostile(new_name("t"))[:100], actor=COMMAND, cost_centre=HOSTILE[:60])
    Team.objects.filter(pk=team.pk).update(slug=new_name("slug"))
    person = new_person()
    User.objects.filter(pk=person.pk).update(name=HOSTILE)
    membership = add_member(team, person=person, role=Role.OWNER, actor=COMMAND)
    account = create_service_account(
        team, name=hostile(new_name("a"))[:100], description=HOSTILE, actor=COMMAND
    )
    model = new_offer(description=HOSTILE, owner=team, extra_members=[HOSTILE[:60]])
    grant = _grant(model, account)
    request = ask(person, team, model, justification=HOSTILE)
    comment_on_request(request, actor=new_decider(), text=HOSTILE)
    key = _key(account)
    call = Call.objects.create(**call_facts(team, model.pk, key.pk))
    deployment = new_deployment()
    Deployment.objects.filter(pk=deployment.pk).update(upstream_name=HOSTILE)
    record_audit(
        AuditTag.KEY_REVOKED,
        actor=COMMAND,
        subject_kind="key",
        subject_id=key.pk,
        team_id=team.pk,
        reason=HOSTILE,
    )
    rows: list[Model] = [
        team,
        person,
        membership,
        account,
        model,
        grant,
        request,
        key,
        new_leak(key, HOSTILE),
        issue_decoy(name=HOSTILE[:200], actor=COMMAND).decoy,
        call,
        new_limit(team=team),
        UsageHour.objects.create(**usage_facts(call)),
        _usage_day(call),
        deployment,
        Provider.objects.get(pk=deployment.provider_id),
        AuditEntry.objects.latest("id"),
        *_mail(person, team),
        *_sign_on(team),
        *_trust(account),
        _client(account),
        *_of_portal(person),
        _policy(),
    ]
    return {type(row): type(row)._default_manager.get(pk=row.pk) for row in rows}


def _policy() -> Model:
    """One that is switched off, and asks for what is needed without it."""
    policy = new_policy(Step(StepBy.DECIDERS), on=False)
    ApprovalPolicy.objects.filter(pk=policy.pk).update(name=hostile(new_name("p"))[-100:])
    return policy


def _of_portal(person: User) -> list[Model]:
    """A role of the portal and a proposal to give it."""
    role = make_portal_role(
        name=hostile(new_name("r"))[-60:],
        description=HOSTILE,
        rights=[PortalRight.SEE_AUDIT, PortalRight.SEE_CALLS],
        actor=COMMAND,
    )
    proposal = ask_to_give(person, role=role, by=new_person(is_administrator=True), why=HOSTILE)
    assert proposal is not None
    # Whose proposal waits holds nothing back: nobody has the role yet.
    return [role, proposal]


def _grant(model: Any, account: ServiceAccount) -> Grant:
    return grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)


def _key(account: ServiceAccount) -> Any:
    return issue_key(
        account.team,
        holder=account,
        name=HOSTILE[:100],
        purpose=HOSTILE,
        tags=[HOSTILE[:60]],
        cost_centre=HOSTILE[:60],
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    ).key


def _sign_on(team: Team) -> list[Model]:
    mapping = new_mapping(team, group=HOSTILE)
    SignOnConnection.objects.filter(pk=mapping.connection_id).update(
        name=HOSTILE[:60], client_id=HOSTILE, group_claim=HOSTILE
    )
    return [mapping, mapping.connection]


def _trust(account: ServiceAccount) -> list[Model]:
    issuer = new_issuer(audiences=[HOSTILE])
    IssuerFetch.objects.filter(issuer=issuer).update(fault=HOSTILE)
    claims = [{"claim": HOSTILE, "one_of": [HOSTILE]}]
    return [
        issuer,
        new_rule(
            issuer, account, name=HOSTILE[:100], subject=HOSTILE.replace("*", "x"), claims=claims
        ),
    ]


def _client(account: ServiceAccount) -> Model:
    client = new_machine(team=account.team).client
    OAuthApplication.objects.filter(pk=client.pk).update(name=HOSTILE)
    KeyUse.objects.create(
        key_id=client.credential_id, last_used_at=utc_now(), last_peer=HOSTILE[:45]
    )
    return client


def _mail(person: User, team: Team) -> list[Model]:
    return [
        Notification.objects.create(
            kind="request_made",
            person=person,
            email=person.email,
            state=NotificationState.FAILED,
            facts={HOSTILE: HOSTILE},
            fault=HOSTILE,
        ),
        _delivery(team),
        CaughtMail.objects.create(to=person.email, subject=HOSTILE, text=HOSTILE, html=HOSTILE),
        Invitation.objects.create(
            team=team,
            email=f'"{new_name("x")}"@latchkey.test',
            role=Role.MEMBER,
            ends_at=utc_now() + datetime.timedelta(days=1),
        ),
    ]


def _delivery(team: Team) -> Model:
    webhook = new_webhook(team)
    Webhook.objects.filter(pk=webhook.pk).update(name=HOSTILE[:100], host=HOSTILE)
    return WebhookDelivery.objects.create(
        webhook=webhook,
        kind="key_ending",
        payload={"text": HOSTILE},
        state=DeliveryState.DEAD,
        fault=HOSTILE,
    )


def parts() -> dict[type[Model], Any]:
    """The parts of the admin by their model."""
    return dict(admin.site._registry)


def request_of(world: dict[type[Model], Model]) -> AccessRequest:
    found = world[AccessRequest]
    assert isinstance(found, AccessRequest)
    return found
