"""The challenges that go with refusals of credentials, made ready once: a refused call costs a look into a table."""

from collections.abc import Mapping

from accounts.oauth.challenges import HEADER, TokenError, challenge
from accounts.ways_in.proven import Door
from proxy.errors import Code

_ERRORS = {
    Code.MISSING_CREDENTIAL: None,
    Code.INVALID_CREDENTIAL: TokenError.INVALID_TOKEN,
    Code.CREDENTIAL_ENDED: TokenError.INVALID_TOKEN,
    Code.KIND_NOT_ALLOWED: TokenError.INSUFFICIENT_SCOPE,
}
Challenges = Mapping[Code, tuple[bytes, bytes]]


def make_challenges() -> Challenges:
    """Return the header of each refusal that has one; the same for every reason behind one code."""
    name = HEADER.lower().encode()
    return {code: (name, challenge(Door.CALLS, error).encode()) for code, error in _ERRORS.items()}
