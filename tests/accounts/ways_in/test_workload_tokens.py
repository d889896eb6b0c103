import datetime

import pytest

from accounts.audit import COMMAND
from accounts.models import IssuerFetch
from accounts.ways_in.presented import read_presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import CredentialKind, Door, Proven
from accounts.writes.trust_rules import disable_trust_rule
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account
from tests.accounts.workload.issuing import new_issuing, new_rule

pytestmark = pytest.mark.django_db


def proven(text: str) -> Proven | None:
    presented = read_presented(text)
    assert presented is not None
    assert presented.kind is CredentialKind.WORKLOAD
    return prove(presented, door=Door.CALLS, now=utc_now())


def test_token_stands_for_the_rules_service_account_and_no_more() -> None:
    issuing = new_issuing(networks=["10.0.0.0/8"])
    found = proven(issuing.token())
    assert found is not None
    assert found.credential_id == issuing.rule.pk
    assert found.service_account == issuing.account
    assert found.person is None
    assert found.scopes == {"chat"}
    assert [[str(one) for one in networks] for networks in found.networks] == [["10.0.0.0/8"]]
    assert found.expires_at <= utc_now() + datetime.timedelta(seconds=600)


def test_change_of_anything_that_decides_is_listened_for() -> None:
    issuing = new_issuing()
    earlier = issuing.rule
    disable_trust_rule(earlier, actor=COMMAND, reason=REASON)
    later = new_rule(issuing.issuer, new_account())
    found = proven(issuing.token())
    assert found is not None
    assert found.credential_id == later.pk
    assert found.depends_on == {
        issuing.issuer.pk,
        earlier.pk,
        later.pk,
        later.team_id,
        later.service_account_id,
    }


def test_unknown_key_of_an_issuer_is_asked_for_and_an_unknown_issuer_is_not() -> None:
    issuing = new_issuing()
    fetch = IssuerFetch.objects.filter(issuer=issuing.issuer)
    fetch.update(tried_at=utc_now() - datetime.timedelta(hours=1))
    assert proven(issuing.token(header={"kid": "new"}, iss="https://unknown.test")) is None
    assert proven(issuing.token(sub="stranger:x")) is None
    assert fetch.get().wanted_at is None
    assert proven(issuing.token(header={"kid": "new"})) is None
    first = fetch.get().wanted_at
    assert first is not None
    assert proven(issuing.token(header={"kid": "newer"})) is None
    assert fetch.get().wanted_at == first
