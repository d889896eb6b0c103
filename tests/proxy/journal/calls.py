"""Makes calls for tests."""

import os
import time
from uuid import UUID

import uuid_utils

from proxy.call import CallKind, CallStatus
from proxy.journal.records import Admission, End, Record, fit_admission, fit_end


def admission(**changes: object) -> Admission:
    """Return a call's admission, with fresh ids unless they are given."""
    fields: dict[str, object] = {
        "call_id": uuid_utils.uuid7().bytes,
        "admitted_at_us": time.time_ns() // 1000,
        "team_id": os.urandom(16),
        "key_id": os.urandom(16),
        "service_account_id": os.urandom(16),
        "person_id": None,
        "model_id": os.urandom(16),
        "deployment_id": os.urandom(16),
        "provider_id": os.urandom(16),
        "kind": CallKind.CHAT,
        "stream": True,
        "peer": "10.2.3.4",
        "request_id": "req_0123456789abcdef",
        "reserved_tokens": 1234,
        "price_input_micro_usd_per_million": 2_500_000,
        "price_cached_micro_usd_per_million": 1_250_000,
        "price_output_micro_usd_per_million": 10_000_000,
        "purpose": "support",
        "price_reasoning_micro_usd_per_million": 12_000_000,
        "price_audio_input_micro_usd_per_million": 40_000_000,
        "price_audio_output_micro_usd_per_million": None,
        "by_previous_secret": False,
    }
    return Admission(**{**fields, **changes})  # type: ignore[arg-type]


def end_of(call: Admission, **changes: object) -> End:
    """Return the end of a call that was answered, with the changes."""
    fields: dict[str, object] = {
        "call_id": call.call_id,
        "status": CallStatus.ANSWERED,
        "http_status": 200,
        "input_tokens": 812,
        "cached_tokens": 100,
        "output_tokens": 233,
        "reasoning_tokens": 33,
        "cost_micro_usd": 4100,
        "duration_us": 1_234_567,
        "upstream_us": 1_230_000,
        "first_byte_us": 200_000,
        "attempts": 1,
        "answer_bytes": 4321,
        "input_audio_tokens": 12,
        "output_audio_tokens": 7,
    }
    return End(**{**fields, **changes})  # type: ignore[arg-type]


def uuid_of(call: Admission) -> UUID:
    """Return the call's id as PostgreSQL gives it."""
    return UUID(bytes=call.call_id)


def bytes_of(record: Record) -> bytes:
    """Return the record as it stands in a segment."""
    fitted = fit_admission(record) if isinstance(record, Admission) else fit_end(record)
    return fitted[1]
