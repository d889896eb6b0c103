"""Access tokens of our own issue, verified in memory: our public keys, and the ids of those that ended early.

A token is good without a look-up where its signature is, where nobody ended it, and where its caller is remembered from another
token of the same client, person, team and scopes. What is remembered here is loaded before it is used, and kept true by the
change log; until it is loaded, and for every token that this says nothing of, the look-up decides.
"""

import datetime
import hashlib
import time
import uuid
from dataclasses import dataclass

import msgspec

from accounts.change_feed import Changes
from accounts.models import EndedToken
from accounts.oauth.access_tokens import TokenFacts, read_access_token
from accounts.oauth.issuer import ACCESS_TOKEN_LIFE
from accounts.oauth.signing_keys import verifying_keys
from accounts.ways_in.jose import VerifyingKey
from accounts.ways_in.proven import Door
from portal.lib.clock import utc_now
from proxy.principal import Principal

# A token that ended early is past its own end by then.
ENDED_KEPT_S = ACCESS_TOKEN_LIFE.total_seconds() + 60


@dataclass(frozen=True)
class TokenTrust:
    """What tokens are verified with, as it was loaded."""

    keys: dict[str, VerifyingKey]
    ended: frozenset[uuid.UUID]


def load_token_trust() -> TokenTrust:
    """Load the public keys, and the tokens that ended before their time and are not past it yet."""
    ended = EndedToken.objects.filter(expires_at__gt=utc_now()).values_list("pk", flat=True)
    return TokenTrust(verifying_keys(), frozenset(ended))


class KnownTokens:
    """This process's keys and ended tokens."""

    def __init__(self) -> None:
        self._keys: dict[str, VerifyingKey] | None = None
        self._ended: dict[uuid.UUID, float] = {}

    @property
    def is_loaded(self) -> bool:
        return self._keys is not None

    def learn(self, trust: TokenTrust) -> None:
        """Take what was loaded. Whatever ended meanwhile is known besides."""
        self._keys = trust.keys
        until = time.monotonic() + ENDED_KEPT_S
        self._ended |= dict.fromkeys(trust.ended, until)

    def apply(self, changes: Changes) -> None:
        """Hear of tokens that ended, and forget all where it cannot be told what changed, or where keys did."""
        if changes.everything or changes.signing:
            self._keys = None
        if changes.ended_tokens:
            now = time.monotonic()
            self._ended = {one: until for one, until in self._ended.items() if until > now}
            self._ended |= dict.fromkeys(changes.ended_tokens, now + ENDED_KEPT_S)

    def read(self, text: str) -> TokenFacts | None:
        """Return what a token says that is good as far as is known here; None where the look-up has to decide."""
        if self._keys is None:
            return None
        facts = read_access_token(text, self._keys, door=Door.CALLS, now=utc_now())
        return None if facts is None or facts.jti in self._ended else facts


def caller_digest(facts: TokenFacts) -> bytes:
    """The name under which a token's caller is remembered. It is longer than a digest of what is presented, so never one."""
    scopes = " ".join(sorted(facts.scopes))
    ids = facts.client_id.bytes + facts.subject_id.bytes + facts.team_id.bytes
    return b"caller:" + hashlib.sha256(ids + scopes.encode()).digest()


def principal_of(facts: TokenFacts, caller: Principal) -> Principal:
    """Return the caller as this token lets it in: until the token's end, or the client's own."""
    ends_at: datetime.datetime = min(facts.expires_at, caller.ends_at or facts.expires_at)
    return msgspec.structs.replace(
        caller, expires_at=ends_at, depends_on=caller.depends_on | facts.rows
    )
