"""Access tokens are verified in memory, and never believed beyond what the change log allows."""

import asyncio
import datetime
import uuid
from collections.abc import Iterator

import jwt
import pytest

from accounts.change_feed import EVERYTHING, Changes
from accounts.models import OAuthAccessToken
from accounts.models.keys import Scope
from accounts.oauth.signing_keys import sign
from accounts.ways_in.presented import Presented, read_presented
from portal.lib.clock import utc_now
from proxy.identities import Identities
from proxy.known_tokens import TokenTrust, load_token_trust
from proxy.principal import Principal
from proxy.principals import load_principal
from tests.accounts.oauth.world import claims_of, machine_token, new_machine

pytestmark = pytest.mark.django_db


class Rows:
    """What was loaded of the rows, as they stood when a token was made."""

    def __init__(self) -> None:
        self.machine = new_machine(Scope.CHAT, Scope.EMBEDDINGS)
        self.principals: dict[str, Principal | None] = {}
        self.loads = 0
        self.texts = [self.token() for _ in range(3)]
        self.wider = self.token("chat embeddings")
        claims = claims_of(self.texts[0])
        self.never_issued = [
            sign(claims | {"jti": str(uuid.uuid4())}, now=utc_now()) for _ in range(2)
        ]
        self.trust = load_token_trust()

    def token(self, scope: str = "chat") -> str:
        text: str = machine_token(self.machine, scope=scope)["access_token"]
        presented = read_presented(text)
        assert presented is not None
        self.principals[text] = load_principal(presented)
        return text

    def load(self, presented: Presented) -> Principal | None:
        self.loads += 1
        return self.principals.get(presented.text)

    def load_trust(self) -> TokenTrust:
        return self.trust


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def identities(rows: Rows) -> Iterator[Identities]:
    made = Identities(
        load_principal=rows.load,
        load_routes=dict,
        feed_age_s=lambda: 0.0,
        grace_s=60,
        load_tokens=rows.load_trust,
    )
    yield made
    made.close()


async def find(identities: Identities, text: str) -> Principal | None:
    presented = read_presented(text)
    assert presented is not None
    return identities.known(text) or await identities.find(presented, peer="192.0.2.1")


def ended(text: str) -> Changes:
    jti = frozenset({uuid.UUID(claims_of(text)["jti"])})
    return Changes(jti, registry=False, everything=False, ended_tokens=jti)


async def test_fresh_token_of_a_known_caller_needs_no_look_up(
    rows: Rows, identities: Identities
) -> None:
    await identities.learn_tokens()
    first, second, third = [await find(identities, text) for text in rows.texts]
    assert rows.loads == 1
    assert first is not None
    assert second is not None
    assert second.credential_id == first.credential_id
    assert second.grants is first.grants
    assert uuid.UUID(claims_of(rows.texts[1])["jti"]) in second.depends_on
    assert uuid.UUID(claims_of(rows.texts[1])["jti"]) not in first.depends_on
    assert third is not None
    assert third.expires_at.timestamp() == claims_of(rows.texts[2])["exp"]


async def test_token_of_a_stolen_signing_key_is_good_where_its_caller_is_known_until_the_key_goes(
    rows: Rows, identities: Identities
) -> None:
    """THREAT_MODEL.md says so: no row is asked for on the way of a call, and the remedy is to drop the key."""
    forged, again = rows.never_issued
    await identities.learn_tokens()
    assert await find(identities, forged) is None
    assert await find(identities, rows.texts[0]) is not None
    assert await find(identities, again) is not None
    rows.trust = TokenTrust({}, frozenset())
    key = frozenset({uuid.UUID(jwt.get_unverified_header(again)["kid"])})
    identities.apply(Changes(key, registry=False, everything=False, signing=True))
    assert await find(identities, again) is None


async def test_keys_are_loaded_by_the_first_token_that_comes(
    rows: Rows, identities: Identities
) -> None:
    await find(identities, rows.texts[0])
    await asyncio.sleep(0.05)
    await find(identities, rows.texts[1])
    loads = rows.loads
    await find(identities, rows.texts[2])
    assert rows.loads == loads


async def test_token_that_ended_is_refused_though_its_caller_is_known(
    rows: Rows, identities: Identities
) -> None:
    await identities.learn_tokens()
    seen, unseen, other = rows.texts
    await find(identities, seen)
    for text in (seen, unseen):
        identities.apply(ended(text))
        rows.principals[text] = None
        assert identities.known(text) is None
        assert await find(identities, text) is None
    await find(identities, other)
    assert identities.known(other) is not None


async def test_token_that_ended_before_the_keys_were_loaded_is_refused(
    rows: Rows, identities: Identities
) -> None:
    jti = uuid.UUID(claims_of(rows.texts[1])["jti"])
    rows.trust = TokenTrust(rows.trust.keys, frozenset({jti}))
    rows.principals[rows.texts[1]] = None
    await identities.learn_tokens()
    assert await find(identities, rows.texts[0]) is not None
    assert await find(identities, rows.texts[1]) is None


async def test_other_scopes_are_another_caller(rows: Rows, identities: Identities) -> None:
    await identities.learn_tokens()
    await find(identities, rows.texts[0])
    wider = await find(identities, rows.wider)
    assert rows.loads == 2
    assert wider is not None
    assert wider.scopes == {"chat", "embeddings"}


async def test_change_of_the_client_or_of_everything_is_looked_up_again(
    rows: Rows, identities: Identities
) -> None:
    await identities.learn_tokens()
    client = frozenset({rows.machine.client.credential_id})
    for changes in (
        Changes(client, registry=False, everything=False),
        EVERYTHING,
        Changes(frozenset(), registry=False, everything=False, signing=True),
    ):
        loads = rows.loads
        await find(identities, rows.texts[0])
        identities.apply(changes)
        rows.principals[rows.texts[1]] = None
        assert await find(identities, rows.texts[1]) is None
        assert rows.loads >= loads + 1
        identities.apply(EVERYTHING)
        await identities.learn_tokens()


@pytest.fixture
def ends_at(rows: Rows) -> datetime.datetime:
    """When the client ends, decided after its tokens were made."""
    ends_at = utc_now() + datetime.timedelta(minutes=1)
    type(rows.machine.client).objects.filter(pk=rows.machine.client.pk).update(expires_at=ends_at)
    presented = read_presented(rows.texts[0])
    assert presented is not None
    rows.principals[rows.texts[0]] = load_principal(presented)
    return ends_at


async def test_clients_own_end_holds_for_tokens_that_were_never_looked_up(
    rows: Rows, identities: Identities, ends_at: datetime.datetime
) -> None:
    await identities.learn_tokens()
    for text in rows.texts[:2]:
        principal = await find(identities, text)
        assert principal is not None
        assert principal.expires_at == ends_at
    assert rows.loads == 1


def test_every_way_of_ending_a_token_is_noted_by_the_database() -> None:
    rows = Rows()
    first, second, third = [uuid.UUID(claims_of(text)["jti"]) for text in rows.texts]
    OAuthAccessToken.objects.get(jti=first).delete()
    assert load_token_trust().ended >= {first}
    OAuthAccessToken.objects.filter(jti=second).update(jti=uuid.uuid4())
    assert load_token_trust().ended >= {first, second}
    OAuthAccessToken.objects.filter(jti=third).update(expires=utc_now())
    OAuthAccessToken.objects.filter(jti=third).delete()
    assert third not in load_token_trust().ended
