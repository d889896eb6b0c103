"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562)."""

import uuid

import uuid_utils
import uuid_utils.compat


def new_id() -> uuid.UUID:
    return uuid_utils.compat.uuid7()


def new_call_id() -> tuple[bytes, str]:
    """Return one as its 16 bytes and as text, for the place that makes one per call."""
    made = uuid_utils.uuid7()
    return made.bytes, str(made)
