"""What an administrator disabled stays disabled until an administrator enables it, whatever its team tries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import OAuthApplication, ServiceAccount, TrustRule, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.workload.subjects import meet
from accounts.writes.disabling import HELD
from accounts.writes.trust_rules import disable_trust_rule, make_trust_rule_as
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import new_machine
from tests.accounts.rows import REASON, new_account, new_member, new_person
from tests.accounts.workload.issuing import new_issuing
from tests.asking_api import Asker, administrator, data_of, fields_of
from tests.signed_in import leave_proof

pytestmark = pytest.mark.django_db
Row = OAuthApplication | ServiceAccount | TrustRule


@dataclass(frozen=True)
class Case:
    """One kind of row that a team and an administrator can disable, as pages, API and admin name it."""

    kind: str
    make: Callable[[], Row]
    api: str
    model: str
    page: str

    def id_of(self, row: Row) -> object:
        return row.credential_id if isinstance(row, OAuthApplication) else row.id


CASES = {
    "OAuth client": Case(
        "oauth-client",
        lambda: new_machine().client,
        "oauth-clients",
        "oauthapplication",
        "oauth-client",
    ),
    "service account": Case(
        "service-account", new_account, "service-accounts", "serviceaccount", "service-account"
    ),
    "trust rule": Case(
        "trust-rule", lambda: new_issuing().rule, "trust-rules", "trustrule", "team-trust-rule"
    ),
}


@dataclass
class House:
    """One such row, the team's owner with every door of theirs, and an administrator with theirs."""

    case: Case
    row: Row
    owner: User
    browser: Client
    owners_api: Asker
    admin: Client
    admins_api: Asker

    @property
    def is_disabled(self) -> bool:
        self.row.refresh_from_db()
        return self.row.disabled_at is not None

    def page(self, act: str, **sent: str) -> str:
        """What the team's page shows after the act."""
        place = [self.row.team.slug, self.case.id_of(self.row)]
        reply = self.browser.post(reverse(f"{self.case.kind}-{act}", args=place), sent, follow=True)
        assert reply.redirect_chain == [(reverse(self.case.page, args=place), 302)]
        return str(reply.content.decode())

    def api(self, act: str, *, is_administrator: bool = False, body: Any = None) -> Any:
        asker = self.admins_api if is_administrator else self.owners_api
        part = "admin/" if is_administrator else ""
        return asker.post(f"{part}{self.case.api}/{self.case.id_of(self.row)}/{act}", body)

    def act(self, name: str, **sent: str) -> None:
        """Do it in the admin."""
        address = reverse(f"admin:accounts_{self.case.model}_act", args=[self.row.pk, name])
        assert self.admin.post(address, sent).status_code == 302


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def house(request: pytest.FixtureRequest) -> House:
    case: Case = request.param
    row = case.make()
    owner, superuser = new_member(row.team, Role.OWNER), new_person(is_administrator=True)
    browser, admin = Client(), Client()
    for client, person in ((browser, owner), (admin, superuser)):
        client.force_login(person)
        leave_proof(client, person)
    return House(case, row, owner, browser, Asker(person=owner), admin, administrator())


def test_team_enables_what_it_disabled_itself(house: House) -> None:
    assert "by the team" in house.page("disable", reason=REASON)
    assert house.row.disabled_by is None
    assert house.is_disabled
    assert house.row.disabled_by == house.owner.pk
    assert HELD not in house.page("enable")
    assert not house.is_disabled
    assert house.row.disabled_by is None

    given = data_of(house.api("disable", body={"reason": REASON}))
    assert given["disabled_through"] == "team"
    assert data_of(house.api("enable"))["disabled_through"] == ""
    assert not house.is_disabled


@pytest.mark.parametrize("is_by_admin", [True, False], ids=["in the admin", "by the API"])
def test_team_does_not_enable_what_an_administrator_disabled(
    house: House, *, is_by_admin: bool
) -> None:
    if is_by_admin:
        house.act("disable", reason=REASON)
    else:
        data_of(house.api("disable", is_administrator=True, body={"reason": REASON}))
    assert house.is_disabled

    told = house.page("enable")
    assert HELD in told
    assert "by an administrator" in told
    assert f"/{house.case.id_of(house.row)}/enable/" not in told
    refused = house.api("enable")
    assert fields_of(refused) == {"request"}
    assert HELD in refused.content.decode()
    assert house.is_disabled

    if is_by_admin:
        house.act("enable")
    else:
        data_of(house.api("enable", is_administrator=True))
    assert not house.is_disabled
    assert HELD not in house.page("disable", reason=REASON)
    house.page("enable")
    assert not house.is_disabled


def test_team_that_disabled_first_does_not_get_round_an_administrator(house: House) -> None:
    house.page("disable", reason=REASON)
    house.act("disable", reason=REASON)
    assert house.is_disabled
    assert house.row.is_held_by_administrator
    assert HELD in house.page("enable")
    assert house.is_disabled
    # Nor does disabling it once more make it the team's.
    data_of(house.api("disable", body={"reason": REASON}))
    assert HELD in house.page("enable")
    assert house.is_disabled


def test_row_that_does_not_say_who_disabled_it_is_an_administrators(house: House) -> None:
    """As those were before it was kept."""
    house.row.disabled_at = utc_now()
    if isinstance(house.row, OAuthApplication):
        house.row.disabled_reason = REASON
    house.row.save()
    assert HELD in house.page("enable")
    assert house.is_disabled
    house.act("enable")
    assert not house.is_disabled


def test_administrator_who_is_in_the_team_disables_on_its_page_for_the_team(house: House) -> None:
    house.owner.is_staff = house.owner.is_superuser = True
    house.owner.save()
    house.page("disable", reason=REASON)
    house.page("enable")
    assert not house.is_disabled
    house.act("disable", reason=REASON)
    assert HELD in house.page("enable")
    assert house.is_disabled


def test_no_new_rule_of_the_team_takes_what_an_administrator_disabled() -> None:
    issuing = new_issuing(subject="repo:acme/invoicing:*")
    manager = new_member(issuing.account.team, Role.MANAGER)

    def make(subject: str) -> TrustRule:
        return make_trust_rule_as(
            manager,
            team=issuing.account.team,
            issuer=issuing.issuer,
            service_account=issuing.account,
            name=subject,
            subject=subject,
            scopes=[Scope.CHAT],
        )

    disable_trust_rule(issuing.rule, actor=COMMAND, reason=REASON)
    for subject in ("repo:acme/invoicing:*", "repo:acme/invoicing:ref:main", "repo:acme/*"):
        with pytest.raises(ValidationError, match="An administrator disabled this"):
            make(subject)
    assert make("repo:acme/other:*")


MEETING = {
    ("a:b:c", "a:b:c"): True,
    ("a:b:c", "a:b:*"): True,
    ("a:*", "a:b:*"): True,
    ("a:b:c", "a:b:d"): False,
    ("a:b/*", "a:b:*"): False,
    ("a:b:cd", "a:b:c"): False,
    ("a:b:*", "a:b:"): True,
}


@pytest.mark.parametrize(("pair", "expected"), MEETING.items())
def test_subjects_meet_where_one_token_fits_both(pair: tuple[str, str], *, expected: bool) -> None:
    assert meet(*pair) is expected
    assert meet(*reversed(pair)) is expected
