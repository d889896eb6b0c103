"""What a journal holds: that a call was admitted, and how it ended.

A record is written as a msgpack array, so fields may only ever be added at the end, with a default: a journal outlives
the process that wrote it and is read by whichever version comes next.
"""

from typing import Annotated, TypeVar

import msgspec

from proxy.call import CallKind, CallStatus

END_BYTES_MAX = 248
ADMISSION_BYTES_MAX = 2048
CODE_CHARACTERS_MAX = 16
TEXT_CHARACTERS_MAX = 128
COUNT_MAX = 2**63 - 1
# The year 2255: beyond it PostgreSQL's reckoning in doubles would round, and further on Python knows no dates.
MOMENT_US_MAX = 2**53 - 1
# The last hour that usage is counted by, in whole hours since 1970: ids can name later ones, and those count to it.
LAST_HOUR = MOMENT_US_MAX // 3_600_000_000


# Checked when a record is read: an id of another length would stop the ledger at every attempt.
Id = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Admission(msgspec.Struct, array_like=True, frozen=True, kw_only=True, gc=False, tag=1):
    """A call was let in, and this is who asked for what at which price.

    Ids are the 16 bytes of a UUID; `call_id` is a UUIDv7. A price that is None is that of all input or all output.
    `by_previous_secret`: the key was presented by the secret that its rotation replaced.
    """

    call_id: Id
    admitted_at_us: int
    team_id: Id
    key_id: Id
    service_account_id: Id | None
    person_id: Id | None
    model_id: Id | None
    deployment_id: Id | None
    provider_id: Id | None
    kind: CallKind
    stream: bool
    peer: str
    request_id: str
    reserved_tokens: int
    price_input_micro_usd_per_million: int
    price_cached_micro_usd_per_million: int
    price_output_micro_usd_per_million: int
    purpose: str = ""
    price_reasoning_micro_usd_per_million: int | None = None
    price_audio_input_micro_usd_per_million: int | None = None
    price_audio_output_micro_usd_per_million: int | None = None
    by_previous_secret: bool = False


class End(msgspec.Struct, array_like=True, frozen=True, kw_only=True, gc=False, tag=2):
    """A call is over, and this is what it used.

    `input_tokens` includes `cached_tokens` and `input_audio_tokens`, `output_tokens` includes `reasoning_tokens` and
    `output_audio_tokens`, as upstreams report them.
    """

    call_id: Id
    status: CallStatus
    http_status: int = 0
    code: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usage_estimated: bool = False
    cost_micro_usd: int = 0
    duration_us: int = 0
    upstream_us: int = 0
    first_byte_us: int = 0
    attempts: int = 0
    answer_bytes: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0


Record = Admission | End
Entry = TypeVar("Entry", Admission, End)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def fit_admission(admission: Admission) -> tuple[Admission, bytes]:
    """Return the admission as a reader of its bytes gets it, and these bytes.

    Its texts are shortened where the bytes would be more than ADMISSION_BYTES_MAX.
    """
    return _fit(admission, bytes_max=ADMISSION_BYTES_MAX, characters_max=TEXT_CHARACTERS_MAX)


def fit_end(end: End) -> tuple[End, bytes]:
    """Return the end as a reader of its bytes gets it, and these bytes.

    They are never more than END_BYTES_MAX: the room for them was set aside at admission.
    """
    return _fit(end, bytes_max=END_BYTES_MAX, characters_max=CODE_CHARACTERS_MAX)


def decode_record(payload: bytes | memoryview) -> Record:
    """Return the record that these bytes hold.

    Raises: msgspec.MsgspecError where they hold none that this version knows.
    """
    record: Record = _decode(payload)
    return record


def interrupted_end(admission: Admission) -> End:
    """Return the end of a call whose process died: nothing is known of what it used."""
    return End(
        call_id=admission.call_id,
        status=CallStatus.INTERRUPTED,
        code="interrupted",
        usage_estimated=True,
    )


def _fit(record: Entry, *, bytes_max: int, characters_max: int) -> tuple[Entry, bytes]:
    try:
        payload = _encode(record)
    except (OverflowError, UnicodeEncodeError):
        payload = b""
    if not payload or len(payload) > bytes_max:
        record = _clip(record, characters_max=characters_max)
        payload = _encode(record)
    return record, payload


def _clip(record: Entry, *, characters_max: int) -> Entry:
    changes: dict[str, object] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if type(value) is int:
            changes[name] = min(max(value, 0), COUNT_MAX)
        elif type(value) is str:
            changes[name] = value[:characters_max].encode("utf-8", "replace").decode()
    return msgspec.structs.replace(record, **changes)
