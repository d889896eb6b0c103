"""Keys by the hundred that can call, and by the million that are only there."""

import datetime as dt

from django.db import connection

from accounts.audit import SYSTEM
from accounts.models import ApiKey
from accounts.models.keys import Scope
from accounts.writes.keys import issue_key
from portal.lib.clock import utc_now

MOST_PER_MINUTE = 2_000_000_000
# The copies have the digest of their pattern, so that nobody can call with them.
_COPIES = """
    INSERT INTO accounts_apikey (id, public_id, pepper_id, digest, team_id, service_account_id, name, purpose, tags,
        cost_centre, scopes, is_narrowed, networks, created_at, expires_at, revoked_reason,
        previous_pepper_id)
    SELECT gen_random_uuid(), lpad(n::text, 12, '0'), pepper_id, digest, team_id, service_account_id,
        'Application ' || n, purpose, tags, cost_centre, scopes, is_narrowed, networks,
        created_at - n * interval '1 minute', expires_at + (n %% 300) * interval '1 day', '', ''
    FROM accounts_apikey, generate_series(1, %s) AS n WHERE id = %s
"""


def find_key(text: str) -> ApiKey:
    """The key of this text."""
    return ApiKey.objects.get(public_id=text.split("_")[1])


def copy_key(key: ApiKey, *, count: int) -> None:
    """Make so many copies that cannot call, and let the planner know of them."""
    with connection.cursor() as cursor:
        cursor.execute(_COPIES, [count, key.pk])
        cursor.execute("ANALYZE accounts_apikey")


def open_limits(*, key: str) -> int:
    """Give a key limits so wide that no proof reaches them; they are still kept."""
    return ApiKey.objects.filter(pk=find_key(key).pk).update(
        requests_per_minute=MOST_PER_MINUTE, tokens_per_minute=MOST_PER_MINUTE
    )


def make_calling_keys(*, like: str, count: int) -> list[str]:
    """Issue keys for the holder of another, with its scopes and wide limits; return their texts."""
    sample = find_key(like)
    holder = sample.service_account or sample.person
    assert holder is not None
    return [
        issue_key(
            sample.team,
            holder=holder,
            name=f"Caller {number}",
            scopes=[Scope(scope) for scope in sample.scopes],
            expires_at=utc_now() + dt.timedelta(days=1),
            actor=SYSTEM,
            requests_per_minute=MOST_PER_MINUTE,
            tokens_per_minute=MOST_PER_MINUTE,
        ).text
        for number in range(count)
    ]


def make_keys(*, like: str, count: int) -> int:
    """Make keys that cannot call until there are so many; return how many there are."""
    present = ApiKey.objects.count()
    copy_key(find_key(like), count=max(0, count - present))
    return ApiKey.objects.count()
