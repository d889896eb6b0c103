"""Keys that nobody uses are warned of, disabled and revoked, however often and late anybody looks."""

import datetime

import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, IdleKey, KeyUse, Notification, ServiceAccount, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.idle_keys import disable_idle_key, enable_key
from accounts.writes.key_rotation import rotate_key
from accounts.writes.keys import IssuedKey, issue_key, revoke_key
from accounts.writes.teams import disable_service_account, disable_team
from models_registry.idle_keys import look_for_idle_keys
from models_registry.models import DataClass
from models_registry.writes.grants import grant_model
from portal.lib.clock import utc_now
from portal.lib.env import DATA_CLASSES
from tests.accounts.rows import REASON, new_account, new_member, new_name, new_team
from tests.models_registry.rows import new_offer
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)
NOW = utc_now()


@pytest.fixture(autouse=True)
def policy(settings: Settings) -> Settings:
    """Ninety days for every class of data, and thirty more before a key is revoked."""
    settings.LATCHKEY_IDLE_KEY_DAYS = dict.fromkeys(DATA_CLASSES, 90)
    settings.LATCHKEY_IDLE_KEY_REMOVE_DAYS = 30
    return settings


def a_key(holder: ServiceAccount | User | None = None) -> IssuedKey:
    """A key made now that lasts a year."""
    holder = holder or new_account()
    team = holder.team if isinstance(holder, ServiceAccount) else holder.memberships.get().team
    return issue_key(
        team,
        holder=holder,
        name=new_name("key"),
        scopes=[Scope.CHAT],
        expires_at=NOW + 365 * DAY,
        actor=COMMAND,
    )


def look(*days: float) -> None:
    for after in days:
        look_for_idle_keys(now=NOW + after * DAY)


def use(key: ApiKey, after_days: float) -> None:
    moment = NOW + after_days * DAY
    KeyUse.objects.update_or_create(key=key, defaults={"last_used_at": moment})


def fresh(key: ApiKey) -> ApiKey:
    return ApiKey.objects.get(pk=key.pk)


def told(key: ApiKey) -> list[tuple[str, int | None]]:
    rows = Notification.objects.filter(facts__key_id=str(key.pk)).order_by("pk")
    return [(row.kind, row.facts.get("days")) for row in rows]


def test_unused_key_is_warned_of_disabled_and_revoked_each_once() -> None:
    member = new_member(new_team())
    issued = a_key(member)
    key = issued.key
    look(1, 75.9)
    assert told(key) == []
    look(76.5, 76.6, 80, 87.5, 87.6, 89.5, 89.6)
    assert told(key) == [("key_idle", 14), ("key_idle", 3), ("key_idle", 1)]
    assert loaded(issued.text)
    look(90.1, 90.2, 100)
    assert told(key)[3:] == [("key_disabled", None)]
    assert loaded(issued.text) is None
    assert fresh(key).revoked_at is None
    look(119.9)
    assert fresh(key).revoked_at is None
    look(120.2, 121, 200)
    assert "Nobody used it" in fresh(key).revoked_reason
    entries = AuditEntry.objects.filter(subject_id=key.pk).order_by("pk")
    assert [(entry.tag, entry.actor_kind) for entry in entries][1:] == [
        (AuditTag.KEY_DISABLED, "system"),
        (AuditTag.KEY_REVOKED, "system"),
    ]
    assert len(told(key)) == 4


def test_key_in_use_is_never_idle() -> None:
    key = a_key().key
    for after in range(0, 300, 30):
        use(key, after)
        look(after, after + 29)
    assert not IdleKey.objects.filter(key=key).exists()
    assert fresh(key).disabled_at is None


@pytest.mark.parametrize("sign", ["used", "rotated", "enabled"])
def test_sign_of_life_after_the_warning_keeps_the_key(sign: str, policy: Settings) -> None:
    member = new_member(new_team())
    key, other = a_key(member).key, a_key(member).key
    look(80)
    assert IdleKey.objects.filter(key__in=[key, other]).count() == 2
    if sign == "used":
        use(key, 85)
    else:
        if sign == "rotated":
            rotate_key(key, actor=COMMAND)
        name = f"{sign}_at"
        # Whatever the act says of now, it happened then.
        ApiKey.objects.filter(pk=key.pk).update(**{name: NOW + 85 * DAY})
    look(91, 100)
    assert fresh(key).disabled_at is None
    assert fresh(other).disabled_at is not None
    look(85 + 76.5)
    assert told(key)[-1] == ("key_idle", 14)


def test_use_between_the_look_and_the_act_keeps_the_key() -> None:
    key = a_key().key
    look(80)
    idle = IdleKey.objects.get(key=key)
    use(key, 85)
    # As if it had been read before that call.
    assert not disable_idle_key(idle.key, now=NOW + 91 * DAY)
    assert fresh(key).disabled_at is None


def test_nobody_is_surprised_by_a_beat_that_slept() -> None:
    member = new_member(new_team())
    key = a_key(member).key
    look(120)
    assert told(key) == [("key_idle", 3)]
    assert fresh(key).disabled_at is None
    look(121)
    assert told(key) == [("key_idle", 3)]
    look(122.5, 123.5)
    assert told(key) == [("key_idle", 3), ("key_idle", 1), ("key_disabled", None)]
    assert fresh(key).disabled_at is not None


def test_keepers_of_a_service_account_are_told() -> None:
    team = new_team()
    people = {role: new_member(team, role) for role in Role}
    key = a_key(new_account(team)).key
    look(76.5)
    rows = Notification.objects.filter(facts__key_id=str(key.pk))
    assert {row.person_id for row in rows} == {people[Role.OWNER].pk, people[Role.MANAGER].pk}


def test_strictest_class_of_data_that_a_key_reaches_decides(policy: Settings) -> None:
    policy.LATCHKEY_IDLE_KEY_DAYS = {"public": 200, "internal": 60, "secret": 20}
    far = NOW + 365 * DAY
    keys = {}
    for name, classes in {
        "none": (),
        "public": (DataClass.PUBLIC,),
        "both": (DataClass.PUBLIC, DataClass.SECRET),
        "without a policy": (DataClass.CONFIDENTIAL,),
    }.items():
        account = new_account()
        for data_class in classes:
            model = new_offer(data_class=data_class)
            grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=far, actor=COMMAND)
        keys[name] = a_key(account).key

    def disabled() -> set[str]:
        return {name for name, key in keys.items() if fresh(key).disabled_at is not None}

    look(5, 15, 21)
    assert disabled() == {"both"}
    look(190, 201)
    assert disabled() == {"none", "public", "both"}
    look(360, 364)
    assert disabled() == {"none", "public", "both"}


def test_policy_that_says_never_lets_every_key_be(policy: Settings) -> None:
    key = a_key().key
    look(80)
    policy.LATCHKEY_IDLE_KEY_DAYS = {}
    look(91, 300)
    assert fresh(key).disabled_at is None
    policy.LATCHKEY_IDLE_KEY_DAYS = {"internal": 90}
    look(300, 304)
    assert fresh(key).disabled_at is not None


def test_disabled_key_is_not_removed_where_that_is_switched_off(policy: Settings) -> None:
    policy.LATCHKEY_IDLE_KEY_REMOVE_DAYS = 0
    key = a_key().key
    look(80, 91, 360)
    assert fresh(key).disabled_at is not None
    assert fresh(key).revoked_at is None


def disabled_key() -> IssuedKey:
    issued = a_key()
    look(80, 91)
    assert fresh(issued.key).disabled_at is not None
    return issued


def test_enabled_key_is_used_again_and_is_not_removed() -> None:
    issued = disabled_key()
    for _ in range(2):
        enable_key(issued.key, actor=COMMAND)
    assert loaded(issued.text)
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_ENABLED, subject_id=issued.key.pk)
    assert entries.count() == 1
    ApiKey.objects.filter(pk=issued.key.pk).update(enabled_at=NOW + 100 * DAY)
    look(121, 170)
    assert fresh(issued.key).revoked_at is None
    assert loaded(issued.text)


def test_disabled_key_is_not_rotated_and_a_revoked_one_not_enabled() -> None:
    key = disabled_key().key
    with pytest.raises(ValidationError, match="disabled"):
        rotate_key(key, actor=COMMAND)
    revoke_key(key, actor=COMMAND, reason=REASON)
    with pytest.raises(ValidationError, match="revoked"):
        enable_key(key, actor=COMMAND)
    look(121)
    assert fresh(key).revoked_reason == REASON


@pytest.mark.parametrize("spoil", ["revoked", "account", "team", "ended"])
def test_key_that_nobody_could_use_is_left_alone(spoil: str) -> None:
    account, sound = new_account(), a_key().key
    key = a_key(account).key
    look(80)
    if spoil == "revoked":
        revoke_key(key, actor=COMMAND, reason=REASON)
    elif spoil == "account":
        disable_service_account(account, actor=COMMAND, reason=REASON)
    elif spoil == "team":
        disable_team(account.team, actor=COMMAND, reason=REASON)
    else:
        ApiKey.objects.filter(pk=key.pk).update(expires_at=NOW + 81 * DAY)
    look(91)
    assert fresh(key).disabled_at is None
    assert fresh(sound).disabled_at is not None


def test_classes_of_data_are_those_of_the_models() -> None:
    assert tuple(DataClass.values) == DATA_CLASSES
