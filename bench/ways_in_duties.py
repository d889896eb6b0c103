"""What an administrator does for the proofs of the ways in. It runs apart, as these proofs share what the tests forge."""

import time
from collections.abc import Callable

from accounts.audit import SYSTEM
from accounts.models.keys import Scope
from accounts.oauth.access_tokens import read_access_token
from accounts.oauth.signing_keys import verifying_keys
from accounts.ways_in.proven import Door
from accounts.workload.tokens import (
    check_audience,
    check_header,
    check_signature,
    check_times,
    read_token,
)
from accounts.writes.oauth_clients import ClientGrant, register_client
from bench.key_rows import find_key
from portal.lib.clock import utc_now
from tests.accounts.workload.issuing import AUDIENCE, Issuing, new_issuer, new_rule


def make_ways_in(*, like: str) -> dict[str, str]:
    """Give the service account of a key an OAuth client and a workload's rule beside it."""
    account = find_key(like).service_account
    assert account is not None
    registered = register_client(
        account.team,
        name="Cost of the ways in",
        grant=ClientGrant.CLIENT_CREDENTIALS,
        scopes=[Scope.CHAT],
        service_account=account,
        actor=SYSTEM,
    )
    issuer = new_issuer()
    rule = new_rule(issuer, account)
    return {
        "client_id": registered.client.client_id,
        "client_secret": registered.secret,
        "workload_token": Issuing(issuer, account, rule, rule.subject).token(),
    }


def time_fresh_tokens(*, oauth_token: str, count: int) -> dict[str, float]:
    """CPU microseconds of reading and verifying a token never seen before, without the look-up of its rows."""
    keys, issuer, now = verifying_keys(), new_issuer(), utc_now()

    def read_own() -> None:
        assert read_access_token(oauth_token, keys, door=Door.CALLS, now=now) is not None

    def reader_of(algorithm: str) -> Callable[[], None]:
        text = Issuing(issuer, None, None, "subject").token(algorithm=algorithm)  # type: ignore[arg-type]

        def read() -> None:
            token = read_token(text)
            check_header(token.header)
            check_signature(token, keys=issuer.keys, algorithm=algorithm)
            check_times(token.claims, max_age_s=issuer.max_token_age_s, now=now)
            check_audience(token.claims, accepted=[AUDIENCE])

        return read

    kinds = {"OAuth, ES256": read_own}
    kinds |= {f"workload, {name}": reader_of(name) for name in ("RS256", "ES256", "EdDSA")}
    return {name: _cpu_us(read, count=count) for name, read in kinds.items()}


def _cpu_us(act: Callable[[], None], *, count: int) -> float:
    act()
    began = time.process_time()
    for _ in range(count):
        act()
    return (time.process_time() - began) / count * 1e6


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty for duty in (make_ways_in, time_fresh_tokens)
}
