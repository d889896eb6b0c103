"""T7: no call by a role raises an effective limit or right of that role, whatever is written into whichever field.

Every operation outside the administrators' part is walked: each field that it takes, and many that it does not, with what
somebody would write who wants more. What the person, their team, its grants and its keys may do is compared before and
after.
"""

import datetime
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.forms import model_to_dict
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import (
    ApiKey,
    AuditEntry,
    CustomRole,
    Invitation,
    Membership,
    OAuthApplication,
    ServiceAccount,
    Team,
    TrustRule,
    User,
)
from accounts.models.keys import CALL_SCOPES, Scope
from accounts.models.notifications import CHOSEN_KINDS
from accounts.models.teams import Role
from accounts.roles import RIGHTS, Right, leads, team_rights_of
from accounts.roles import rights_of as rights_of_member
from accounts.writes.invitations import invite
from accounts.writes.oauth_clients import ClientGrant, register_client
from models_registry.models import AiModel, Grant, Limit, LimitMeasure, LimitPeriod
from models_registry.writes.grants import grant_model, narrow_key
from portal.lib.clock import utc_now
from tests.accounts.rows import (
    new_account,
    new_member,
    new_name,
    new_team,
    new_team_role,
    new_webhook,
    tomorrow,
)
from tests.accounts.workload.issuing import new_issuer, new_rule
from tests.asking_api import Asker, administrator, personal_key
from tests.models_registry.rows import ask, new_limit, new_offer
from tests.portal.greedy import (
    LEFT_OUT,
    Operation,
    accepted,
    changing_operations,
    filled,
    greedy_bodies,
)
from tests.walks import IS_WHOLE

pytestmark = [pytest.mark.django_db, pytest.mark.time_limit_s(300)]


@dataclass
class House:
    """A team in which somebody wants more than they have.

    above: what an administrator lets the whole team use.
    """

    team: Team
    person: User
    key: ApiKey
    text: str
    account: ServiceAccount
    above: Limit
    values: dict[str, Any]


# A role of the team's own, with rights that could be made into more.
CUSTOM = frozenset({Right.SEE_TEAM, Right.MANAGE_ROLES, Right.MANAGE_MEMBERS, Right.ISSUE_OWN_KEYS})
AnyRole = Role | frozenset[Right]


def rights_in(role: AnyRole) -> frozenset[Right]:
    return RIGHTS[role] if isinstance(role, Role) else role


def build(role: AnyRole) -> House:
    """A team with a bounded grant, a narrowed key of the person and one of everything."""
    team, model, other = new_team(), new_offer(), new_offer()
    owner = new_member(team, Role.OWNER)
    watcher = new_team_role(team, Right.SEE_USAGE)
    given = role if isinstance(role, Role) else new_team_role(team, *role)
    person = new_member(team, given)
    grant_model(
        model,
        to=team,
        scopes=[Scope.CHAT],
        ends_at=tomorrow(),
        actor=COMMAND,
        requests_per_minute=5,
        tokens_per_minute=50,
    )
    issued = personal_key(
        person, team, Scope.CHAT, Scope.MANAGE, networks=["10.0.0.0/8"], requests_per_minute=5
    )
    narrow_key(issued.key, models=[model], actor=COMMAND)
    account = new_account(team)
    above = new_limit(LimitMeasure.TOKENS, LimitPeriod.CALENDAR_DAY, 100, team=team)
    new_limit(LimitMeasure.TOKENS, LimitPeriod.CALENDAR_DAY, 10, key=issued.key)
    limit = new_limit(amount=10, service_account=account, by_administrator=False)
    client = register_client(
        team,
        name="Job",
        grant=ClientGrant.CLIENT_CREDENTIALS,
        scopes=[Scope.CHAT],
        service_account=account,
        actor=COMMAND,
    ).client
    rule = new_rule(new_issuer(), account)
    values = {
        "client": client.credential_id,
        "rule": rule.pk,
        "issuer": str(rule.issuer_id),
        "team": team.slug,
        "member": person.memberships.get().pk,
        "account": account.pk,
        "invitation": invite(
            team, email=f"{new_name('x')}@latchkey.test", role=Role.MEMBER, by=owner
        ).pk,
        "key": issued.key.pk,
        "access": ask(new_member(team), team, other).pk,
        "model": model.name,
        "other": other.name,
        "account_id": str(account.pk),
        "limit": limit.pk,
        "role": watcher.pk,
        "webhook": new_webhook(team).pk,
        "role_id": str(watcher.pk),
        "until": tomorrow().isoformat(),
    }
    return House(team, person, issued.key, issued.text, account, above, values)


# operationId: a body that is accepted from whoever may.
BODIES: dict[str, dict[str, Any]] = {
    "change_team": {"name": "{team}", "cost_centre": "1"},
    "invite_member": {"email": "new@latchkey.test", "role": "member"},
    "withdraw_invitation": {},
    "change_member_role": {"role": "auditor", "custom_role_id": LEFT_OUT},
    "make_team_role": {"name": "new", "description": "", "rights": ["see_team"]},
    "change_team_role": {"name": "new", "description": "", "rights": ["see_team"]},
    "remove_team_role": {},
    "add_webhook": {
        "name": "new",
        "format": "signed",
        "url": "https://hooks.corp.example/",
        "kinds": ["key_ending"],
    },
    "remove_webhook": {},
    "choose_my_deliveries": {kind.value: "daily" for kind in CHOSEN_KINDS},
    "remove_member": {},
    "leave_team": {},
    "create_service_account": {"name": "new", "description": ""},
    "disable_service_account": {"reason": "x"},
    "enable_service_account": {},
    "register_oauth_client": {
        "name": "new",
        "grant": "authorization-code",
        "scopes": ["chat"],
        "service_account_id": LEFT_OUT,
        "is_public": False,
        "redirect_uris": ["https://app.corp.example/callback"],
        "networks": ["10.1.0.0/16"],
        "jwks": LEFT_OUT,
        "expires_at": "{until}",
    },
    "disable_oauth_client": {"reason": "x"},
    "enable_oauth_client": {},
    "replace_oauth_client_secret": {},
    "remove_oauth_client": {},
    "issue_key": {
        "team": "{team}",
        "service_account_id": "{account_id}",
        "name": "new",
        "purpose": "",
        "tags": [],
        "cost_centre": "",
        "scopes": ["chat"],
        "networks": ["10.1.0.0/16"],
        "hours": None,
        "models": ["{model}"],
        "requests_per_minute": 1,
        "tokens_per_minute": 1,
        "expires_at": "{until}",
    },
    "revoke_key": {"reason": "x"},
    "rotate_key": {"overlap_s": 60, "new_was_lost": False},
    "end_old_secret": {},
    "enable_key": {},
    "set_key_rotation": {"days": 30},
    "fetch_new_secret": {},
    "narrow_key": {"models": ["{other}"]},
    "ask_for_access": {
        "team": "{team}",
        "service_account_id": "{account_id}",
        "models": ["{model}"],
        "scopes": ["chat"],
        "justification": "x",
        "wanted_until": "{until}",
        "requests_per_minute": 1,
        "tokens_per_minute": 1,
        "budget_micro_usd": LEFT_OUT,
        "data_class": "public",
    },
    "comment_on_request": {"text": "x"},
    "set_limit": {
        "key_id": LEFT_OUT,
        "service_account_id": "{account_id}",
        "person_id": LEFT_OUT,
        "team_id": LEFT_OUT,
        "measure": "tokens",
        "period": "calendar_day",
        "amount": 1,
        "zone": "UTC",
        "is_soft": False,
        "alert_percents": [90],
    },
    "change_limit": {"amount": 9, "zone": "UTC", "is_soft": False, "alert_percents": [90]},
    "remove_limit": {},
    "withdraw_request": {},
    "change_service_account_bounds": {"networks": ["10.1.0.0/16"], "hours": None},
    "make_trust_rule": {
        "issuer_id": "{issuer}",
        "service_account_id": "{account_id}",
        "name": "new",
        "subject": "repo:acme/*",
        "audience": "",
        "claims": [],
        "scopes": ["chat"],
        "networks": ["10.1.0.0/16"],
        "expires_at": "{until}",
    },
    "explain_token": {"token": "x"},
    "change_trust_rule": {
        "scopes": ["chat"],
        "networks": ["10.1.0.0/16"],
        "expires_at": "{until}",
    },
    "disable_trust_rule": {"reason": "x"},
    "enable_trust_rule": {},
}


@pytest.fixture(scope="module")
def operations() -> list[Operation]:
    return changing_operations(are_administrators=False)


def test_every_operation_and_field_is_walked(operations: list[Operation]) -> None:
    assert {operation.name for operation in operations} == set(BODIES)
    for operation in operations:
        assert operation.fields == set(BODIES[operation.name]), operation.name


@dataclass
class Rights:
    """What a person and their team may do."""

    person: tuple[bool, bool, int]
    roles: dict[Any, frozenset[Right]]
    own_roles: dict[Any, frozenset[Right]]
    grants: dict[Any, tuple[Any, ...]]
    keys: dict[Any, ApiKey]
    models: dict[Any, set[Any] | None]
    limits: dict[Any, Limit]
    rules: dict[Any, TrustRule]
    leaders: dict[Any, frozenset[Right]]
    invited: set[Any]


def rights_of(house: House) -> Rights:
    person = User.objects.get(pk=house.person.pk)
    keys = ApiKey.objects.filter(team=house.team).prefetch_related("models")
    members = Membership.objects.filter(team=house.team).select_related("custom_role")
    return Rights(
        (person.is_staff, person.is_superuser, person.portal_roles.count()),
        {
            one.team_id: rights_of_member(one)
            for one in person.memberships.select_related("custom_role")
        },
        {one.pk: team_rights_of(one) for one in CustomRole.objects.all()},
        {
            grant.pk: (
                grant.scopes,
                grant.starts_at,
                grant.ends_at,
                grant.requests_per_minute,
                grant.tokens_per_minute,
                grant.model_id,
                grant.team_id,
                grant.service_account_id,
            )
            for grant in Grant.objects.all()
        },
        {key.pk: key for key in keys},
        {
            key.pk: {one.model_id for one in key.models.all()} if key.is_narrowed else None
            for key in keys
        },
        {limit.pk: limit for limit in Limit.objects.all()},
        {rule.pk: rule for rule in TrustRule.objects.filter(team=house.team)},
        {one.pk: rights_of_member(one) for one in members if leads(rights_of_member(one))},
        {
            one.pk
            for one in Invitation.objects.filter(team=house.team, closed_at=None)
            if leads(RIGHTS[Role(one.role)])
        },
    )


def check(house: House, before: Rights, after: Rights, *, by_key: bool, role: AnyRole) -> None:
    """Hold what is after against what was before."""
    for pk, allows in after.own_roles.items():
        assert allows <= rights_in(role) | before.own_roles.get(pk, frozenset())
    assert after.person == before.person
    assert set(after.roles) <= set(before.roles)
    if by_key:
        assert after.leaders == before.leaders
    for team, now in after.roles.items():
        assert now <= before.roles[team]
    assert after.grants == before.grants
    for pk, key in after.keys.items():
        old = before.keys.get(pk)
        if old is None:
            check_new_key(house, key, after.models[pk], by_key=by_key, role=role)
            continue
        for name in ("scopes", "networks", "requests_per_minute", "tokens_per_minute"):
            assert getattr(key, name) == getattr(old, name)
        if bytes(key.digest) != bytes(old.digest):
            # Whoever was shown the new secret could have issued the key.
            is_own = key.person_id == house.person.pk
            is_application = key.person_id is None and Right.MANAGE_KEYS in rights_in(role)
            assert not by_key
            assert is_own or is_application
        assert (key.expires_at, key.person_id) == (old.expires_at, old.person_id)
        assert key.service_account_id == old.service_account_id
        assert old.revoked_at is None or key.revoked_at is not None
        if by_key:
            assert wider(after.models[pk], before.models[pk]) is False
    check_rules(before.rules, after.rules, by_key=by_key, role=role)
    check_limits(house, before.limits, after.limits, role=role)
    assert after.invited <= before.invited or not by_key


def check_rules(
    before: dict[Any, TrustRule], after: dict[Any, TrustRule], *, by_key: bool, role: AnyRole
) -> None:
    """A rule opens calls alone, and a narrowed key neither makes one nor gives one more."""
    may_make = Right.MANAGE_KEYS in rights_in(role) and not by_key
    assert may_make or set(after) == set(before)
    for pk, rule in after.items():
        assert set(rule.scopes) <= set(CALL_SCOPES)
        if not may_make and pk in before:
            kept = ("scopes", "networks", "expires_at", "subject", "claims", "service_account_id")
            assert all(getattr(rule, name) == getattr(before[pk], name) for name in kept)


def check_limits(
    house: House, before: dict[Any, Limit], after: dict[Any, Limit], *, role: AnyRole
) -> None:
    """What an administrator set stands as it was, and whatever else was set bounds no less than that."""
    may_set = Right.MANAGE_LIMITS in rights_in(role)
    for pk, old in before.items():
        if old.by_administrator or not may_set:
            assert after[pk].by_administrator == old.by_administrator
            assert model_to_dict(after[pk]) == model_to_dict(old)
    new = [limit for pk, limit in after.items() if pk not in before]
    assert may_set or not new
    assert not any(limit.by_administrator for limit in new)
    for limit in after.values():
        if limit.service_account_id == house.account.pk and same_kind(limit, house.above):
            assert limit.amount <= house.above.amount


def same_kind(limit: Limit, other: Limit) -> bool:
    return (limit.measure, limit.period) == (other.measure, other.period)


def wider(now: set[Any] | None, old: set[Any] | None) -> bool:
    return old is not None and (now is None or not now <= old)


def check_clients(house: House, *, by_key: bool, role: AnyRole) -> None:
    """A client is registered by whoever manages keys and signed in, for no other team and not to administer."""
    for client in OAuthApplication.objects.filter(created_by=house.person.pk):
        assert not by_key
        assert Right.MANAGE_KEYS in rights_in(role)
        assert client.team_id == house.team.pk
        assert Scope.ADMINISTER not in client.scopes


def check_new_key(
    house: House, key: ApiKey, models: set[Any] | None, *, by_key: bool, role: AnyRole
) -> None:
    """A key that somebody issued is no wider than the person, and by a key no wider than that key."""
    may_for_applications = Right.MANAGE_KEYS in rights_in(role)
    assert key.person_id == house.person.pk or (key.person_id is None and may_for_applications)
    assert (key.requests_per_minute or 0) <= django_settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE
    assert (key.tokens_per_minute or 0) <= django_settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE
    assert key.expires_at < utc_now() + datetime.timedelta(days=367)
    assert Scope.ADMINISTER not in key.scopes
    if by_key:
        assert set(key.scopes) <= set(CALL_SCOPES) & set(house.key.scopes)
        assert key.expires_at <= house.key.expires_at
        assert key.networks
        assert all(text.startswith("10.") for text in key.networks)
        own = {AiModel.objects.get(name=house.values["model"]).pk}
        assert models is not None
        assert models <= own


CASES: list[tuple[AnyRole, bool]] = [(role, by_key) for role in Role for by_key in (True, False)]
CASES += [(CUSTOM, False)]


def tries(case: int, number: int, *, is_weighed: bool) -> bool:
    """Whether the case sends the operation's body of this number.

    A form does not know who asks: what it refuses, and what an operation is sent that lets nobody in, one of the cases
    tries, of every fourth. What is weighed by who asks, each case tries as it is accepted, and of each two of the greedy
    ones one of the cases tries one. The proof `gate` lets one case try all of the first, and each all of the second.
    """
    if not is_weighed:
        return number % len(CASES) == case and (IS_WHOLE or number // len(CASES) % 4 == case % 4)
    return IS_WHOLE or number == 0 or number % (2 * len(CASES)) == 2 * case + case % 2


@pytest.mark.parametrize(
    "case",
    range(len(CASES)),
    ids=[f"{role if isinstance(role, Role) else 'own'}-{key}" for role, key in CASES],
)
def test_no_call_raises_a_right_or_limit_of_the_role(
    case: int, operations: list[Operation], settings: Settings
) -> None:
    role, by_key = CASES[case]
    # How often somebody may ask is not what is asked here.
    settings.RATELIMIT_ENABLE = False
    house = build(role)
    asker = Asker(text=house.text) if by_key else Asker(person=house.person)
    before, done, last_entry = rights_of(house), 0, AuditEntry.objects.latest("pk")
    for operation in operations:
        path = operation.path.format(**house.values)
        body = {name: filled(value, house.values) for name, value in BODIES[operation.name].items()}
        with transaction.atomic():
            is_let_in = asker.ask(operation.method, path, accepted(body) or None).status_code < 300
            transaction.set_rollback(True)
        for number, sent in enumerate(greedy_bodies(body)):
            if not tries(case, number, is_weighed=is_let_in and operation.reads(sent, path)):
                continue
            with transaction.atomic():
                reply = asker.ask(operation.method, path, sent or None)
                assert reply.status_code < 500, (operation.name, sent, reply.content)
                if reply.status_code < 300:
                    # A body that is sent to remove something is not looked at.
                    is_read = operation.reads(sent, path) or operation.method == "delete"
                    assert is_read, (operation.name, sent)
                    done += 1
                    check(house, before, rights_of(house), by_key=by_key, role=role)
                    check_clients(house, by_key=by_key, role=role)
                else:
                    # Nothing is written without its entry.
                    assert not AuditEntry.objects.filter(pk__gt=last_entry.pk).exists()
                transaction.set_rollback(True)
    # A walk in which nothing was let in would have shown nothing.
    assert done > (0 if role is Role.AUDITOR else 5 if IS_WHOLE else 2)


def test_walk_would_see_what_was_raised() -> None:
    house = build(Role.OWNER)
    before = rights_of(house)
    model = AiModel.objects.get(name=house.values["model"])
    with pytest.raises(AssertionError), transaction.atomic():
        body = {
            "model": model.name,
            "team_id": str(house.team.pk),
            "scopes": ["chat"],
            "ends_at": tomorrow().isoformat(),
        }
        assert administrator().post("admin/grants", body).status_code == 201
        check(house, before, rights_of(house), by_key=True, role=Role.OWNER)
    with pytest.raises(AssertionError), transaction.atomic():
        personal_key(house.person, house.team, Scope.MANAGE)
        check(house, before, rights_of(house), by_key=True, role=Role.OWNER)
    with pytest.raises(AssertionError), transaction.atomic():
        changed = administrator().patch(f"admin/limits/{house.above.pk}", {"amount": 200})
        if changed.status_code == 200:
            check(house, before, rights_of(house), by_key=True, role=Role.OWNER)
