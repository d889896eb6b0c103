"""One of everything that a route can speak of, in one team, and a person in each role towards it."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver

from accounts.audit import COMMAND
from accounts.links import invitation_link, reset_link
from accounts.models import (
    ApiKey,
    AuditEntry,
    CaughtMail,
    Invitation,
    Membership,
    Notification,
    Team,
    TrustRule,
    User,
)
from accounts.models.keys import Scope
from accounts.models.notifications import NotificationKind
from accounts.models.teams import Role
from accounts.roles import PortalRight, Right
from accounts.two_person_roles import ask_to_give
from accounts.writes.decoys import issue_decoy
from accounts.writes.oauth_clients import ClientGrant, register_client
from accounts.writes.webhooks import tell_webhooks
from models_registry.models import AccessRequest, AiModel, Grant, Provider, StepBy
from models_registry.policy_rules import Step
from models_registry.writes.catalogue import deploy_model
from models_registry.writes.grants import grant_model
from proxy.models import Call
from tests.accounts.leaks.rows import new_leak
from tests.accounts.rows import (
    new_account,
    new_key,
    new_member,
    new_person,
    new_portal_role,
    new_team,
    new_team_role,
    new_webhook,
    tomorrow,
)
from tests.accounts.sign_on_rows import new_mapping
from tests.accounts.workload.issuing import new_issuer, new_rule
from tests.models_registry.rows import ask, new_limit, new_offer, new_policy, new_provider
from tests.proxy.ledger_rows import call_with

STRANGER, OUTSIDER, AUDITOR, MEMBER, MANAGER, OWNER, ADMINISTRATOR = ROLES = (
    "stranger",
    "outsider",
    "auditor",
    "member",
    "manager",
    "owner",
    "administrator",
)

# A template in each text that is sent, and what it would become.
TEMPLATE = "{{ 'dered-a-text'|capfirst|add:'!' }}"
RENDERED = b"Dered-a-text!"
NOWHERE = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"


class Route(NamedTuple):
    """A route of the URLconf: its name with its namespaces, and its address with places in it."""

    name: str
    pattern: str


def every_route(
    patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "/", space: str = ""
) -> Iterator[Route]:
    """Every route, however deep."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from every_route(pattern.url_patterns, address, inner)
        else:
            yield Route(space + (pattern.name or ""), address)


@dataclass
class World:
    """The team, what it has, and who asks.

    people: by role; the stranger is nobody.
    places: by converter and name, or by a route's name and a place's; what an address is filled with.
    objects: by the name of a model in the admin; ids.
    bodies: by route; what whoever may do it succeeds with. Other routes are posted nothing.
    """

    team: Team
    people: dict[str, User | None]
    key: ApiKey
    model: AiModel
    provider: Provider
    grant: Grant
    request: AccessRequest
    call: Call
    invitation: Invitation
    notification: Notification
    places: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def address_of(self, route: Route) -> str:
        """The route's address, led to what this world has. Raises: KeyError naming the place to add."""
        own = re.sub(
            r"<(?:(\w+):)?(\w+)>",
            lambda found: self._fill(route.name, found[1] or "str", found[2]),
            # A place written as an expression lists what it may be.
            re.sub(r"\(\?P<\w+>([^)|]+)[^)]*\)", r"\1", route.pattern),
        )
        return own.replace("\\.", ".").replace("^", "").replace("\\Z", "").replace("$", "")

    def nowhere(self, route: Route) -> str:
        """The route's address, led to what nobody has."""
        return replace(
            self, places={place: elsewhere(value) for place, value in self.places.items()}
        ).address_of(route)

    def _fill(self, name: str, converter: str, place: str) -> str:
        if place == "object_id":
            return self.objects.get(name.removeprefix("admin:").rpartition("_")[0], NOWHERE)
        for known in (f"{name} {place}", f"{converter}:{place}"):
            if known in self.places:
                return self.places[known]
        raise KeyError(f"add to tests/portal/world.py: '{converter}:{place}' (of {name})")


def new_world() -> World:
    """Make everything through the named writes."""
    team = new_team()
    members = {role: new_member(team, Role(role)) for role in (AUDITOR, MEMBER, MANAGER, OWNER)}
    account = new_account(team)
    key = new_key(account).key
    model, provider = new_offer(), new_provider()
    deployment = deploy_model(model, provider=provider, upstream_name="upstream", actor=COMMAND)
    grant = grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    requester = new_member(team)
    request = ask(requester, team)
    invitation = Invitation.objects.create(
        team=team,
        email="invited@latchkey.test",
        role=Role.MEMBER,
        invited_by=members[OWNER],
        ends_at=tomorrow(),
    )
    notification = Notification.objects.create(
        kind=NotificationKind.KEY_ENDING, person=members[OWNER], email=members[OWNER].email
    )
    world = World(
        team=team,
        people={
            STRANGER: None,
            OUTSIDER: new_member(new_team(), Role.OWNER),
            **members,
            ADMINISTRATOR: new_person(is_administrator=True),
        },
        key=key,
        model=model,
        provider=provider,
        grant=grant,
        request=request,
        call=call_with(key, model),
        invitation=invitation,
        notification=notification,
    )
    world.places = _places(world, membership=team.memberships.get(person=requester))
    limit = new_limit(service_account=account, by_administrator=False)
    world.places |= {"uuid:limit": str(limit.pk), "uuid:limit_id": str(limit.pk)}
    client = register_client(
        team,
        name="Nightly job",
        grant=ClientGrant.CLIENT_CREDENTIALS,
        scopes=[Scope.CHAT],
        service_account=account,
        actor=COMMAND,
    ).client
    world.places |= dict.fromkeys(("uuid:client_id", "uuid:client"), str(client.credential_id))
    world.places |= {"uuid:account_id": str(account.pk), "uuid:account": str(account.pk)}
    world.places |= {"uuid:deployment": str(deployment.pk), "uuid:provider": str(provider.pk)}
    world.places |= _places_of_roles(team, requester)
    world.objects = _objects(world, account=account.pk, deployment=deployment.pk)
    decoy = issue_decoy(name="A page", actor=COMMAND).decoy
    world.places["uuid:decoy"] = world.objects["accounts_decoykey"] = str(decoy.pk)
    world.objects["accounts_leak"] = str(new_leak(key).pk)
    world.objects["models_registry_limit"] = str(limit.pk)
    world.bodies = _bodies(team, model, key)
    rule = new_rule(new_issuer(), account)
    world.places |= {"uuid:rule": str(rule.pk), "uuid:issuer": str(rule.issuer_id)}
    world.places["uuid:rule_id"] = str(rule.pk)
    policy = new_policy(Step(StepBy.SECURITY), on=False)
    world.places["uuid:policy"] = world.objects["models_registry_approvalpolicy"] = str(policy.pk)
    world.objects["accounts_oauthapplication"] = str(client.pk)
    world.objects["accounts_trustedissuer"] = str(rule.issuer_id)
    world.objects["accounts_trustrule"] = str(rule.pk)
    world.bodies |= _bodies_of_trust(rule)
    webhook = new_webhook(team)
    world.places |= dict.fromkeys(("uuid:webhook_id", "uuid:webhook"), str(webhook.pk))
    tell_webhooks(team.pk, NotificationKind.KEY_ENDING, key="First", ends_at=tomorrow().isoformat())
    world.objects["accounts_webhookdelivery"] = str(webhook.deliveries.get().pk)
    return world


def _places(world: World, *, membership: Membership) -> dict[str, str]:
    requester = membership.person
    reset = reset_link(requester).split("/")
    team, key, model = world.team, world.key, world.model
    return {
        "slug:slug": team.slug,
        "slug:team": team.slug,
        "uuid:team": str(team.pk),
        "int:membership_id": str(membership.pk),
        "row:member": str(membership.pk),
        # Whose they are is told apart in tests of their own; here they are nobody's.
        "int:factor_id": "1",
        "int:session_id": "1",
        "uuid:invitation_id": str(world.invitation.pk),
        "uuid:invitation": str(world.invitation.pk),
        "invitation token": invitation_link(world.invitation).split("/")[-2],
        "password-reset uidb64": reset[-3],
        "password-reset token": reset[-2],
        "uuid:key_id": str(key.pk),
        "uuid:key": str(key.pk),
        "path:name": model.name,
        "path:resource": "v1",
        "model_name:name": model.name,
        "uuid:model": str(model.pk),
        "uuid:grant": str(world.grant.pk),
        "uuid:request_id": str(world.request.pk),
        "uuid:access": str(world.request.pk),
        "uuid:call": str(world.call.pk),
        "uuid:call_id": str(world.call.pk),
        "uuid:person": str(requester.pk),
        "str:url": "nowhere/",
        "slug:act_name": "nothing",
    }


def _places_of_roles(team: Team, requester: User) -> dict[str, str]:
    """A role of the team, one of the portal, and a proposal to give somebody that."""
    own, of_portal = new_team_role(team, Right.SEE_USAGE), new_portal_role(PortalRight.SEE_AUDIT)
    by = new_person(is_administrator=True)
    proposal = ask_to_give(requester, role=of_portal, by=by, why="A second person decides.")
    assert proposal is not None
    return {
        "uuid:role_id": str(own.pk),
        "api:team-role role": str(own.pk),
        "api:portal-role role": str(of_portal.pk),
        "uuid:proposal": str(proposal.pk),
    }


def _objects(world: World, *, account: uuid.UUID, deployment: uuid.UUID) -> dict[str, str]:
    mapping = new_mapping(world.team)
    rows = {
        "accounts_signonmapping": mapping.pk,
        "accounts_signonconnection": mapping.connection_id,
        "accounts_apikey": world.key.pk,
        "accounts_team": world.team.pk,
        "accounts_serviceaccount": account,
        "accounts_user": world.request.requested_by_id,
        "accounts_membership": world.team.memberships.order_by("pk")[0].pk,
        "accounts_invitation": world.invitation.pk,
        "accounts_notification": world.notification.pk,
        "accounts_caughtmail": CaughtMail.objects.create(to="ada@latchkey.test").pk,
        "accounts_customrole": world.places["api:portal-role role"],
        "accounts_proposal": world.places["uuid:proposal"],
        "accounts_auditentry": AuditEntry.objects.latest("pk").pk,
        "models_registry_accessrequest": world.request.pk,
        "models_registry_aimodel": world.model.pk,
        "models_registry_provider": world.provider.pk,
        "models_registry_deployment": deployment,
        "models_registry_grant": world.grant.pk,
        "proxy_call": world.call.pk,
    }
    return {name: str(pk) for name, pk in rows.items()}


def _bodies(team: Team, model: AiModel, key_of_account: ApiKey) -> dict[str, dict[str, Any]]:
    until, day = tomorrow().isoformat(), tomorrow().date().isoformat()
    reason, address = (
        {"reason": f"It leaked. {TEMPLATE}"},
        {"email": "new@latchkey.test", "role": "member"},
    )
    asked = {
        "justification": f"Summaries. {TEMPLATE}",
        "for_whom": f"team:{team.pk}",
        "wanted_until": day,
    }
    key = {"name": f"New {TEMPLATE}", "scopes": ["chat"]}
    request = {
        "models": [model.name],
        "scopes": ["chat"],
        "justification": f"Summaries. {TEMPLATE}",
    }
    limit = {"measure": "micro_usd", "period": "calendar_month", "amount": 5}
    return {
        "ask": asked,
        "key-new": key | {"form_id": NOWHERE, "holder": f"team:{team.pk}", "expires_at": day},
        "key-revoke": reason,
        "key-rotate": {"overlap": "3600"},
        "member": {"role": "auditor"},
        "oauth-client-disable": reason,
        "request-comment": {"text": f"A comment. {TEMPLATE}"},
        "service-account": {"name": f"New {TEMPLATE}"},
        "service-account-disable": reason,
        "team": address,
        "team-role": {"name": f"New {TEMPLATE}", "rights": ["see_team"]},
        "team-roles": {"name": f"New {TEMPLATE}", "rights": ["see_team"]},
        "team-limit": {"amount": "0.000004", "zone": "UTC"},
        "team-limits": limit | {"amount": "1", "subject": f"key:{key_of_account.pk}"},
        "team-service-accounts": {"name": f"New {TEMPLATE}"},
        "team-settings": {"name": f"New {TEMPLATE}"},
        "team-oauth-clients": {
            "name": "New",
            "grant": "authorization-code",
            "redirect_uris": "https://app.corp.example/callback",
            "scopes": ["chat"],
        },
        "api:disable-oauth-client": reason,
        "api:disable-service-account": reason,
        "api:oauth-clients": {
            "name": "New",
            "grant": "authorization-code",
            "redirect_uris": ["https://app.corp.example/callback"],
            "scopes": ["chat"],
        },
        "api:invitations": address,
        "api:keys": key | {"team": team.slug, "expires_at": until},
        "api:limits": limit | {"key_id": str(key_of_account.pk)},
        "api:request-comments": {"text": f"A comment. {TEMPLATE}"},
        "api:requests": request | {"team": team.slug, "wanted_until": until},
        "api:revoke-key": reason,
        "api:webhooks": {
            "name": f"New {TEMPLATE}",
            "format": "signed",
            "url": "https://hooks.corp.example/",
            "kinds": ["key_ending"],
        },
        "patch api:my-notifications": {"limit_alert": "daily"},
        "patch api:member": {"role": "auditor"},
        "patch api:team": {"name": f"New {TEMPLATE}"},
        "patch api:limit": {"amount": 1},
        "key-rotation-set": {"days": "90"},
        "put api:key-rotation": {"days": 90},
        "put api:key-models": {"models": [model.name]},
        "put api:team-role": {"name": f"New {TEMPLATE}", "rights": ["see_team"]},
        "api:service-accounts": {"name": f"New {TEMPLATE}"},
        "api:team-roles": {"name": f"New {TEMPLATE}", "rights": ["see_team"]},
        "api:give-portal-role": {"role": "approver"} | reason,
    }


def _bodies_of_trust(rule: TrustRule) -> dict[str, dict[str, Any]]:
    made = {
        "issuer_id": str(rule.issuer_id),
        "service_account_id": str(rule.service_account_id),
        "name": "New",
        "subject": "repo:acme/*",
        "scopes": ["chat"],
    }
    page = {"issuer": made["issuer_id"], "service_account": made["service_account_id"]}
    return {
        "team-trust-rules": made | page,
        "key-bounds": {"networks": "10.0.0.0/8"},
        "service-account-bounds": {"networks": "10.0.0.0/8"},
        "team-token-test": {"token": "no.token.x"},
        "trust-rule-change": {"scopes": ["chat"], "networks": "10.0.0.0/8"},
        "trust-rule-disable": {"reason": "It is retired."},
        "team-webhooks": {
            "name": "New",
            "format": "signed",
            "url": "https://hooks.corp.example/",
            "kinds": ["key_ending"],
        },
        "api:trust-rules": made,
        "api:explain-token": {"token": "no.token.x"},
        "api:disable-trust-rule": {"reason": "It is retired."},
    }


def elsewhere(value: str) -> str:
    """Another object's id of the same form, which nothing has."""
    if len(value) == 36:
        return str(uuid.uuid4())
    return "2147483647" if value.isdecimal() else f"{value}-elsewhere"
