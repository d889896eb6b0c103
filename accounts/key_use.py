"""When keys were last used, written beside the ledger's batches: at most once a minute for a key, waiting for nobody."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

import psycopg

_NOTE = """
    INSERT INTO accounts_keyuse AS old (key_id, last_used_at, last_peer)
    SELECT key_id, used_at, peer FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[]) AS new (key_id, used_at, peer)
    ORDER BY key_id
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at, last_peer = excluded.last_peer
    WHERE old.last_used_at < excluded.last_used_at - interval '1 minute'
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
