"""T7: nobody with a role of the whole portal gets more rights or lets anybody have more by the administrators' operations.

Each operation is walked with what somebody would write who wants more, once on others' objects and once on the person's
own: their account, team, key, limits and the request that they made.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.forms import model_to_dict
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, CustomRole, Membership, PortalAssignment, User
from accounts.models.keys import Scope
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import PortalRight, portal_rights
from accounts.two_person_roles import ask_to_give
from accounts.writes.decoys import issue_decoy
from accounts.writes.key_selections import KeySelection, preview_selection
from accounts.writes.oauth_clients import ClientGrant, register_client
from accounts.writes.teams import add_member
from models_registry.models import ApprovalPolicy, Grant, Limit, StepBy
from models_registry.policy_rules import Step
from models_registry.writes.catalogue import deploy_model
from models_registry.writes.grants import grant_model
from tests.accounts.rows import (
    new_account,
    new_holder,
    new_member,
    new_name,
    new_person,
    new_portal_role,
    new_team,
    tomorrow,
)
from tests.accounts.workload.issuing import PUBLISHED, new_issuer, new_rule
from tests.asking_api import Asker, personal_key
from tests.models_registry.rows import ask, new_limit, new_offer, new_policy, new_provider
from tests.portal.greedy import (
    LEFT_OUT,
    Operation,
    accepted,
    changing_operations,
    greedy_bodies,
)
from tests.walks import IS_WHOLE

pytestmark = [pytest.mark.django_db, pytest.mark.time_limit_s(300)]
WHY: dict[str, Any] = {"reason": "It was asked for."}
MODEL: dict[str, Any] = {
    "description": "",
    "owner_id": "{team}",
    "data_class": "secret",
    "visibility": "granted",
    "context_tokens": 4096,
    "max_output_tokens": 128,
    "tokens_per_byte": 0.5,
    **dict.fromkeys(
        (
            "price_input",
            "price_cached_input",
            "price_output",
            "price_reasoning",
            "price_audio_input",
            "price_audio_output",
        ),
        1,
    ),
    "extra_members": [],
    "output_cap_member": "max_tokens",
    "hang_up": "close",
}
LIMIT: dict[str, Any] = {"amount": 9, "zone": "UTC", "is_soft": False, "alert_percents": [90]}
SELECTION: dict[str, Any] = {
    "team_id": "{team}",
    "person_id": LEFT_OUT,
    "issued_too": False,
    "network": LEFT_OUT,
    "leaked": False,
}
BOUNDS: dict[str, Any] = {"networks": ["10.1.0.0/16"], "hours": None}
ISSUER: dict[str, Any] = {
    "audiences": ["latchkey"],
    "algorithms": ["RS256"],
    "max_token_age_s": 600,
    "is_open_to_teams": False,
    "pasted_keys": LEFT_OUT,
}
PROVIDER: dict[str, Any] = {
    "base_url": "http://127.0.0.1:9/v1",
    "credential": "sk-a-credential-of-the-tests",
    "networks": ["127.0.0.0/8"],
    "save_untested": True,
}
ROLE: dict[str, Any] = {
    "name": "new",
    "description": "",
    "rights": [right.value for right in PortalRight],
}
POLICY: dict[str, Any] = {
    "steps": [{"by": "manager"}],
    "model_ids": ["{model}"],
    "data_classes": ["public"],
    "team_ids": ["{team}"],
    "budget_over": 1,
    "budget_up_to": 2,
}
# operationId: a body that is accepted from whoever may.
BODIES: dict[str, dict[str, Any]] = {
    "change_deployment": {"enabled": False, "position": 2},
    "grant_model": {
        "model": "{name}",
        "team_id": "{team}",
        "service_account_id": LEFT_OUT,
        "scopes": ["chat"],
        "starts_at": LEFT_OUT,
        "ends_at": "{until}",
        "requests_per_minute": 1,
        "tokens_per_minute": 1,
    },
    "end_grant": WHY,
    "add_issuer": ISSUER
    | {
        "name": "new",
        "issuer": "https://new.issuer.test",
        "key_source": "pasted",
        "jwks_url": LEFT_OUT,
        "pasted_keys": PUBLISHED,
        "certificate_authority": LEFT_OUT,
    },
    "change_issuer": ISSUER,
    "disable_issuer": WHY,
    "enable_issuer": {},
    "change_key_bounds": BOUNDS,
    "revoke_any_key": WHY,
    "preview_revocation": SELECTION,
    "revoke_keys": WHY | SELECTION | {"fingerprint": "{fingerprint}"},
    "issue_decoy": {"name": "new"},
    "end_decoy": {},
    "report_leak": {"token": "x", "place": "y", "found_in": "z"},
    "set_any_limit": LIMIT
    | {
        "key_id": LEFT_OUT,
        "service_account_id": LEFT_OUT,
        "person_id": LEFT_OUT,
        "team_id": "{team}",
        "measure": "requests",
        "period": "minute",
        "model": LEFT_OUT,
    },
    "change_any_limit": LIMIT,
    "remove_any_limit": {},
    "propose_limit_removal": WHY,
    "add_model": MODEL | {"name": "{new}", "kind": "chat"},
    "change_model": MODEL,
    "deploy_model": {"provider_id": "{provider}", "upstream_name": "x", "position": 1},
    "set_model_status": {"status": "deprecated", "sunset_at": "{until}"},
    "disable_any_oauth_client": WHY,
    "enable_any_oauth_client": {},
    "disable_any_service_account": WHY,
    "enable_any_service_account": {},
    "create_person": {
        "email": "{new}@latchkey.test",
        "name": "",
        "password": "a long one of the tests",
    },
    "disable_person": WHY,
    "enable_person": {},
    "give_portal_role": WHY | {"role": "approver", "custom_role_id": LEFT_OUT},
    "take_portal_role": WHY | {"role": "approver", "custom_role_id": LEFT_OUT},
    "make_portal_role": WHY | ROLE,
    "change_portal_role": WHY | ROLE,
    "remove_portal_role": {},
    "confirm_proposal": {},
    "refuse_proposal": WHY,
    "withdraw_proposal": {},
    "add_provider": PROVIDER | {"name": "{new}"},
    "change_provider": PROVIDER,
    "test_provider": {},
    "approve_request": {
        "reason": "x",
        "models": ["{asked}"],
        "scopes": ["chat"],
        "ends_at": "{until}",
        "requests_per_minute": 1,
        "tokens_per_minute": 1,
        "budget_micro_usd": 1,
    },
    "make_policy": POLICY | {"name": "{new}"},
    "add_policy_version": POLICY,
    "switch_policy": WHY | {"version": 1},
    "answer_request": {"text": "x"},
    "deny_request": WHY,
    "create_team": {"name": "{new}", "cost_centre": ""},
    "change_team_bounds": BOUNDS,
    "disable_team": WHY,
    "enable_team": {},
    "add_member": {"person_id": "{person}", "role": "owner"},
    "make_any_trust_rule": {
        "issuer_id": "{issuer}",
        "service_account_id": "{account}",
        "name": "new",
        "subject": "repo:acme/*",
        "audience": "",
        "claims": [],
        "scopes": ["chat"],
        "networks": ["10.1.0.0/16"],
        "expires_at": "{until}",
    },
    "disable_any_trust_rule": WHY,
    "enable_any_trust_rule": {},
}
CASES = [
    (role, is_own)
    for role in PortalRole
    if role is not PortalRole.SUPERUSER
    for is_own in (True, False)
]


@pytest.fixture(scope="module")
def operations() -> list[Operation]:
    return changing_operations(are_administrators=True)


def test_every_operation_and_field_is_walked(operations: list[Operation]) -> None:
    assert {operation.name for operation in operations} == set(BODIES)
    for operation in operations:
        assert operation.fields == set(BODIES[operation.name]), operation.name


def build(person: User, *, is_own: bool) -> dict[str, str]:
    """What addresses and bodies name: the person's own, or another's."""
    team = new_team()
    somebody = person if is_own else new_person()
    add_member(team, person=somebody, role=Role.OWNER, actor=COMMAND)
    model, provider, account = new_offer(), new_provider(), new_account(team)
    rule = new_rule(new_issuer(), account)
    key = personal_key(somebody, team, Scope.CHAT, networks=["10.0.0.0/8"]).key
    client = register_client(
        team,
        name="Job",
        grant=ClientGrant.CLIENT_CREDENTIALS,
        scopes=[Scope.CHAT],
        service_account=account,
        actor=COMMAND,
    ).client
    of_portal = new_portal_role(PortalRight.SEE_AUDIT)
    proposal = ask_to_give(
        somebody, role=of_portal, by=new_person(is_administrator=True), why="Two decide."
    )
    assert proposal is not None
    asked, until = new_offer(), tomorrow()
    grant = grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    deployment = deploy_model(model, provider=provider, upstream_name="x", actor=COMMAND)
    return {
        "deployment": str(deployment.pk),
        "grant": str(grant.pk),
        "issuer": str(rule.issuer_id),
        "key": str(key.pk),
        "limit": str(new_limit(team=team).pk),
        "model": str(model.pk),
        "name": model.name,
        "client": str(client.credential_id),
        "policy": str(new_policy(Step(StepBy.SECURITY), on=False).pk),
        "decoy": str(issue_decoy(name="A page", actor=COMMAND).decoy.pk),
        "person": str(somebody.pk),
        "role": str(of_portal.pk),
        "proposal": str(proposal.pk),
        "provider": str(provider.pk),
        "access": str(ask(somebody, team, asked, wanted_until=until).pk),
        "asked": asked.name,
        "team": str(team.pk),
        "fingerprint": preview_selection(KeySelection(team=team)).fingerprint,
        "account": str(account.pk),
        "rule": str(rule.pk),
        "until": until.isoformat(),
        "new": new_name("new"),
    }


@dataclass
class Standing:
    """Who may what in the portal and in teams, and what grants, limits and keys let through."""

    flags: set[tuple[Any, ...]]
    roles: set[tuple[Any, ...]]
    members: set[tuple[Any, ...]]
    rights: set[tuple[Any, ...]]
    own: frozenset[PortalRight]
    grants: dict[Any, dict[str, Any]]
    limits: dict[Any, dict[str, Any]]
    keys: dict[Any, dict[str, Any]]
    in_force: set[tuple[Any, ...]]


def standing_of(person: User) -> Standing:
    return Standing(
        set(User.objects.filter(is_staff=True).values_list("pk", "is_superuser")),
        set(PortalAssignment.objects.values_list("person_id", "role", "custom_role_id")),
        set(Membership.objects.values_list("team_id", "person_id", "role", "custom_role_id")),
        {(role.pk, *role.rights) for role in CustomRole.objects.all()},
        portal_rights(User.objects.get(pk=person.pk)),
        {one.pk: model_to_dict(one) for one in Grant.objects.all()},
        {one.pk: model_to_dict(one) for one in Limit.objects.all()},
        {one.pk: model_to_dict(one) for one in ApiKey.objects.all()},
        set(ApprovalPolicy.objects.values_list("pk", "in_force")),
    )


def check(role: PortalRole, before: Standing, after: Standing, *, is_own: bool) -> None:
    """Roles and rights stand as they were; grants are given by approvers on others' requests, and by those who manage them."""
    assert after.flags <= before.flags
    assert after.roles <= before.roles
    assert after.members <= before.members
    assert after.rights == before.rights
    assert after.own <= before.own
    assert set(after.keys) <= set(before.keys)
    # Each that is there or made asks for less than whoever decides does, so that no one person has it on.
    assert {number for _, number in after.in_force} <= {None}
    for pk, key in after.keys.items():
        kept = ("scopes", "networks", "expires_at", "requests_per_minute", "tokens_per_minute")
        assert all(key[name] == before.keys[pk][name] for name in kept if name in key)
    if role is not PortalRole.REGISTRY_ADMIN:
        assert before.limits == {pk: after.limits[pk] for pk in before.limits}
        may_give = role is PortalRole.APPROVER and not is_own
        assert may_give or after.grants == before.grants
        # What a team may spend on a model that is granted bounds it alone.
        new = [limit for pk, limit in after.limits.items() if pk not in before.limits]
        assert all(may_give and limit["team"] and limit["model"] for limit in new)


def is_tried(number: int, case: int, *, is_weighed: bool) -> bool:
    """Whether the case sends the body of this number: a share of them, in the proof `gate` all that is weighed by who asks."""
    if is_weighed:
        return IS_WHOLE or number % len(CASES) == case
    return number % 24 == 4 * case


@pytest.mark.parametrize(
    "case", range(len(CASES)), ids=[f"{role}-{'own' if own else 'other'}" for role, own in CASES]
)
def test_no_call_raises_a_right_of_a_portal_role(
    case: int, operations: list[Operation], settings: Settings
) -> None:
    role, is_own = CASES[case]
    # How often somebody may ask is not what is asked here.
    settings.RATELIMIT_ENABLE = False
    person = new_holder(role)
    values = build(person, is_own=is_own)
    asker, before, done = Asker(person=person), standing_of(person), set()
    last_entry = AuditEntry.objects.latest("pk")
    for operation in operations:
        path = operation.path.format(**values)
        body = {
            name: filled_within(value, values) for name, value in BODIES[operation.name].items()
        }
        with transaction.atomic():
            is_let_in = asker.ask(operation.method, path, accepted(body) or None).status_code < 300
            transaction.set_rollback(True)
        for number, sent in enumerate(greedy_bodies(body)):
            is_weighed = is_let_in and operation.reads(sent, path)
            if number and not is_tried(number, case, is_weighed=is_weighed):
                continue
            with transaction.atomic():
                reply = asker.ask(operation.method, path, sent or None)
                assert reply.status_code < 500, (operation.name, sent, reply.content)
                if reply.status_code < 300:
                    done.add(operation.name)
                    check(role, before, standing_of(person), is_own=is_own)
                else:
                    # Nothing is written without its entry.
                    assert not AuditEntry.objects.filter(pk__gt=last_entry.pk).exists()
                transaction.set_rollback(True)
    assert done >= ACCEPTED[role] - (OF_OTHERS if is_own else set()), done
    if is_own:
        assert not done & OF_OTHERS


# What each is let do, so that the walk shows something.
ACCEPTED = {
    PortalRole.APPROVER: {"approve_request", "answer_request", "deny_request"},
    PortalRole.SECURITY: {"revoke_any_key", "disable_person", "enable_person"},
    PortalRole.REGISTRY_ADMIN: {"grant_model", "end_grant", "change_any_limit", "add_model"},
}
# What nobody does to themselves, or decides on what they asked for.
OF_OTHERS = {"approve_request", "deny_request", "disable_person", "confirm_proposal"}


def filled_within(value: Any, values: dict[str, str]) -> Any:
    """The value with each place in its text filled, in a list's texts too."""
    if isinstance(value, list):
        return [filled_within(one, values) for one in value]
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], value)
    return value


def test_walk_would_see_what_was_raised() -> None:
    person = new_holder(PortalRole.APPROVER)
    before, role = standing_of(person), PortalRole.APPROVER
    for raise_it in (
        lambda: PortalAssignment.objects.create(person=person, role=PortalRole.SECURITY),
        lambda: User.objects.filter(pk=person.pk).update(is_superuser=True),
        lambda: new_member(new_team(), Role.OWNER),
        lambda: new_portal_role(PortalRight.SEE_AUDIT),
        lambda: new_limit(team=new_team()),
    ):
        with transaction.atomic():
            raise_it()
            with pytest.raises(AssertionError):
                check(role, before, standing_of(person), is_own=True)
            transaction.set_rollback(True)
