"""Of any number of parallel uses of one refresh token or one code, one alone is answered with tokens."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection

from accounts.models import OAuthAccessToken, OAuthRefreshToken
from tests.accounts.oauth.world import Visit, new_web_client, said

AT_ONCE = 50
# As many connections as these tests may hold; the others wait for a turn.
THREADS = 10


def together(ask: Callable[[], Any]) -> list[int]:
    """Ask so often at once; return the statuses."""
    begin = Barrier(THREADS)

    def turn(number: int) -> int:
        try:
            if number < THREADS:
                begin.wait(10)
            return int(ask().status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(turn, range(AT_ONCE)))


def test_parallel_refreshes_have_one_winner_and_a_replay_ends_the_family(committed: None) -> None:
    visit = Visit.of(new_web_client())
    tokens = visit.tokens()
    statuses = together(lambda: visit.refresh(tokens["refresh_token"]))
    assert sorted(statuses) == [200] + [400] * (AT_ONCE - 1)
    assert not OAuthRefreshToken.objects.filter(user=visit.person, revoked=None).exists()
    assert not OAuthAccessToken.objects.filter(user=visit.person).exists()
    assert said(visit.exchange(visit.code()))["access_token"]


def test_parallel_exchanges_of_a_code_have_one_winner_whose_tokens_end(committed: None) -> None:
    visit = Visit.of(new_web_client())
    code = visit.code()
    statuses = together(lambda: visit.exchange(code))
    assert sorted(statuses) == [200] + [400] * (AT_ONCE - 1)
    assert not OAuthAccessToken.objects.filter(user=visit.person).exists()
