"""What an administrator forges for the proof of attacks: the very tables that the tests go through."""

from collections.abc import Callable
from typing import Any

from accounts.models import OAuthAccessToken
from accounts.models.keys import Scope
from accounts.oauth.signing_keys import sign
from bench.oauth_duties import begin_family, prepare_clients
from portal.lib.clock import utc_now
from tests.accounts.oauth.test_token_attacks import CHANGED, attacks
from tests.accounts.oauth.world import claims_of
from tests.accounts.workload.issuing import new_issuing
from tests.accounts.workload.test_examine import ATTACKS


def forge_oauth(*, base: str) -> dict[str, Any]:
    """Return a token that opens both doors, and what an attacker makes of it."""
    genuine = begin_family(base=base, prepared=prepare_clients())["access_token"]
    return {"genuine": genuine, "forged": attacks(genuine)}


def list_changes() -> list[str]:
    """The names of the claims' changes that our own key can be made to sign."""
    return list(CHANGED)


def sign_changed(*, genuine: str, name: str) -> str:
    """Return the token with a change, signed by our own key and stored as if it had been issued; "" for none."""
    claims = claims_of(genuine) | CHANGED.get(name, {})
    text = sign({key: value for key, value in claims.items() if value is not None}, now=utc_now())
    row = OAuthAccessToken.objects.get(jti=claims_of(genuine)["jti"])
    row._raw_token = text  # noqa: SLF001 - the row's own way to be given its text.
    row.save()
    return text


def forge_workload() -> dict[str, Any]:
    """Return a token that a rule takes, and what an attacker makes of it."""
    issuing = new_issuing(scopes=[Scope.CHAT])
    forged = {name: make(issuing) for name, (make, _) in ATTACKS.items()}
    return {"genuine": issuing.token(), "forged": forged}


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty for duty in (forge_oauth, list_changes, sign_changed, forge_workload)
}
