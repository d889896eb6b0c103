"""When keys were last used, and how often by the secret that a rotation replaced, written beside the ledger's batches.

The first at most once a minute for a key, and waiting for nobody; the second with the calls that it counts.
"""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

import psycopg

from accounts.models import ApiKey, KeyUse, PreviousSecretUse

# When a key was made, replaced, enabled or used, whichever was last: PostgreSQL's greatest passes over what is not there.
SIGNS_OF_LIFE = ("created_at", "rotated_at", "enabled_at", "use__last_used_at")
_NOTE = """
    INSERT INTO accounts_keyuse AS old (key_id, last_used_at, last_peer)
    SELECT key_id, used_at, peer FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[]) AS new (key_id, used_at, peer)
    ORDER BY key_id
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at, last_peer = excluded.last_peer
    WHERE old.last_used_at < excluded.last_used_at - interval '1 minute'
"""
_NOTE_OLD = """
    INSERT INTO accounts_previoussecretuse AS old (key_id, rotated_at, calls, last_used_at, last_peer)
    SELECT key.id, key.rotated_at, new.calls, new.used_at, new.peer
    FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::text[]) AS new (key_id, calls, used_at, peer)
    JOIN accounts_apikey AS key ON key.id = new.key_id AND key.rotated_at <= new.used_at
    ORDER BY key.id
    ON CONFLICT (key_id) DO UPDATE SET
        rotated_at = excluded.rotated_at,
        calls = excluded.calls + CASE WHEN old.rotated_at = excluded.rotated_at THEN old.calls ELSE 0 END,
        last_used_at = greatest(old.last_used_at, excluded.last_used_at),
        last_peer = CASE WHEN old.last_used_at > excluded.last_used_at THEN old.last_peer ELSE excluded.last_peer END
    WHERE old.rotated_at <= excluded.rotated_at
"""


def note_key_use(
    connection: psycopg.Connection[Any],
    uses: Mapping[uuid.UUID, tuple[datetime.datetime, str]],
) -> None:
    """Note the latest use of each key. Rows are locked in the keys' order, so two shippers cannot deadlock."""
    keys = list(uses)
    connection.execute(
        _NOTE, [keys, [uses[key][0] for key in keys], [uses[key][1] for key in keys]]
    )


def note_old_secret_use(
    connection: psycopg.Connection[Any],
    uses: Mapping[uuid.UUID, tuple[int, datetime.datetime, str]],
) -> None:
    """Add calls with keys' previous secrets to what is known of them.

    uses: by key, how many, and when and from where the latest came. What came before the key's last rotation was with a
        secret that has ended since, and is left out.
    """
    connection.execute(_NOTE_OLD, [list(uses), *map(list, zip(*uses.values(), strict=True))])


def use_of_old_secret(key: ApiKey) -> PreviousSecretUse | None:
    """Return what is known of calls with the secret that the key's last rotation replaced; None where there were none."""
    use: PreviousSecretUse | None = getattr(key, "previous_use", None)
    return use if use is not None and use.rotated_at == key.rotated_at else None


def last_sign_of_life(key: ApiKey) -> datetime.datetime:
    """Return when the key was last used, or else when it last became something to be used."""
    use = KeyUse.objects.filter(key=key).first()
    used_at = None if use is None else use.last_used_at
    signs = [key.created_at, key.rotated_at, key.enabled_at, used_at]
    return max(sign for sign in signs if sign is not None)
