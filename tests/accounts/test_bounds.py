"""From where and when: what is kept, who may change it, and that everything which applies has to hold."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, ServiceAccount, Team
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.ways_in.presented import read_presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import Door, Proven
from accounts.writes.bounds import Bounded, change_bounds
from portal.lib.clock import utc_now
from tests.accounts.rows import new_key, new_member
from tests.accounts.workload.issuing import new_issuing
from tests.asking_api import Asker, administrator, code_of, data_of, member_of, personal_key
from tests.portal.lib.test_hours import WORK

pytestmark = pytest.mark.django_db
NEVER = {"days": ["mon"], "begins": "00:00", "ends": "00:01", "zone": "UTC"}


def proven(text: str) -> Proven:
    presented = read_presented(text)
    assert presented is not None
    found = prove(presented, door=Door.CALLS, now=utc_now())
    assert found is not None
    return found


def bound(subject: Bounded, *networks: str, hours: dict[str, Any] | None = None) -> None:
    change_bounds(subject, networks=networks, hours=hours, actor=COMMAND)


def test_all_lists_and_hours_over_a_credential_apply_whichever_way_it_came_in() -> None:
    issued, issuing = new_key(), new_issuing(networks=["10.0.0.0/8"])
    key = issued.key
    assert key.service_account is not None
    bound(key, "10.0.0.0/8", hours=WORK)
    for account in (key.service_account, issuing.account):
        bound(account, "10.1.0.0/16", hours=WORK)
        bound(account.team, "10.1.0.0/24", "2001:db8::/32", hours=WORK)
    for text, hours in ((issued.text, 3), (issuing.token(), 2)):
        found = proven(text)
        lists = [[str(network) for network in networks] for networks in found.networks]
        assert lists == [["10.0.0.0/8"], ["10.1.0.0/16"], ["10.1.0.0/24", "2001:db8::/32"]]
        assert len(found.hours) == hours


def test_change_is_audited_once_with_what_holds_now() -> None:
    team = new_key().key.team
    for _ in range(2):
        bound(team, " 10.0.0.0/8", "10.0.0.0/8", hours=WORK)
    entry = AuditEntry.objects.get(tag=AuditTag.BOUNDS_CHANGED, subject_id=team.pk)
    assert entry.team_id == team.pk
    assert entry.facts["networks"] == ["10.0.0.0/8"]
    assert "08:00" in entry.facts["hours"]


@pytest.mark.parametrize(
    ("networks", "hours", "field"),
    [
        (["10.0.0.1/8"], None, "networks"),
        (["::ffff:10.0.0.0/104"], None, "networks"),
        (["10.0.0.0/8"] * 101, None, "networks"),
        ([], WORK | {"zone": "Mars"}, "hours"),
        ([], {}, "hours"),
    ],
)
def test_bounds_that_could_not_hold_are_refused(
    networks: list[str], hours: dict[str, Any] | None, field: str
) -> None:
    account = new_key().key.service_account
    assert account is not None
    bound(account, "10.0.0.0/8")
    with pytest.raises(ValidationError) as refused:
        bound(account, *networks, hours=hours)
    assert field in refused.value.message_dict
    assert ServiceAccount.objects.get(pk=account.pk).networks == ["10.0.0.0/8"]


def test_manager_bounds_a_service_account_and_a_member_does_not() -> None:
    account = new_key().key.service_account
    assert account is not None
    path = f"service-accounts/{account.pk}/bounds"
    body = {"networks": ["10.0.0.0/8"], "hours": WORK}
    assert data_of(member_of(account.team, Role.MANAGER).put(path, body)) == body | {
        "id": str(account.pk)
    }
    assert code_of(member_of(account.team).put(path, body)) == "forbidden"
    assert code_of(Asker(person=new_member(new_key().key.team)).put(path, body)) == "not_found"


def test_key_makes_bounds_narrower_and_never_wider() -> None:
    account = new_key().key.service_account
    assert account is not None
    bound(account, "10.0.0.0/8", hours=WORK)
    path = f"service-accounts/{account.pk}/bounds"
    manager = member_of(account.team, Role.MANAGER)
    assert manager.put(path, {"networks": ["10.1.0.0/16"], "hours": WORK}).status_code == 200
    for wider in (
        {"networks": [], "hours": WORK},
        {"networks": ["10.0.0.0/8"], "hours": WORK},
        {"networks": ["10.1.0.0/16"], "hours": None},
    ):
        assert code_of(manager.put(path, wider)) == "invalid_request"
    signed_in = Asker(person=new_member(account.team, Role.MANAGER))
    assert signed_in.put(path, {"networks": [], "hours": None}).status_code == 200


@pytest.mark.parametrize("kind", ["teams", "keys"])
def test_administrators_bound_teams_and_keys(kind: str) -> None:
    key = new_key().key
    subject: Team | ApiKey = key.team if kind == "teams" else key
    path, body = f"admin/{kind}/{subject.pk}/bounds", {"networks": ["10.0.0.0/8"], "hours": None}
    assert data_of(administrator().put(path, body))["networks"] == ["10.0.0.0/8"]
    owner = Asker(person=new_member(key.team, Role.OWNER))
    assert code_of(owner.put(path, {"networks": [], "hours": None})) == "forbidden"
    subject.refresh_from_db()
    assert subject.networks == ["10.0.0.0/8"]


def test_management_api_holds_to_the_team_and_its_hours_only_after_the_key_is_proven() -> None:
    issued = new_key()
    team = issued.key.team
    text = personal_key(new_member(team), team).text
    asker = Asker(text=text)
    assert asker.get("me").status_code == 200
    bound(team, hours=NEVER if utc_now().weekday() else NEVER | {"days": ["tue"]})
    assert code_of(asker.get("me")) == "outside_hours"
    wrong = Asker(text=text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert code_of(wrong.get("me")) == "invalid_credential"
    bound(team, "192.0.2.0/24")
    assert code_of(asker.get("me")) == "address_not_allowed"
    bound(team)
    assert asker.get("me").status_code == 200
