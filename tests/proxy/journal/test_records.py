import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import CallStatus
from proxy.journal.records import (
    ADMISSION_BYTES_MAX,
    COUNT_MAX,
    END_BYTES_MAX,
    End,
    decode_record,
    interrupted_end,
)
from tests.proxy.journal.calls import admission, bytes_of, end_of

counts = st.integers(-(2**70), 2**70)
any_text = st.text(st.characters(), max_size=3000)


def without_last(payload: bytes, count: int, *, now_last: object) -> bytes:
    """The record as a version wrote it that did not know its last fields."""
    known = msgspec.msgpack.decode(payload)[:-count]
    assert known[-1] == now_last
    return msgspec.msgpack.encode(known)


def test_records_come_back_as_they_were() -> None:
    call = admission()
    assert decode_record(bytes_of(call)) == call
    assert decode_record(bytes_of(end_of(call))) == end_of(call)


@given(code=any_text, status=st.sampled_from(CallStatus), used=st.tuples(*[counts] * 13))
def test_an_end_always_fits_the_room_kept_for_it(
    code: str, status: CallStatus, used: tuple[int, ...]
) -> None:
    names = [
        name
        for name in End.__struct_fields__
        if isinstance(getattr(end_of(admission()), name), int)
    ]
    names = [name for name in names if name != "usage_estimated"]
    end = end_of(admission(), code=code, status=status, **dict(zip(names, used, strict=False)))
    payload = bytes_of(end)
    assert len(payload) <= END_BYTES_MAX
    assert isinstance(decode_record(payload), End)


@given(peer=any_text, request_id=any_text, purpose=any_text, reserved=counts)
def test_an_admission_is_bounded_and_always_written(
    peer: str, request_id: str, purpose: str, reserved: int
) -> None:
    call = admission(peer=peer, request_id=request_id, purpose=purpose, reserved_tokens=reserved)
    payload = bytes_of(call)
    assert len(payload) <= ADMISSION_BYTES_MAX
    assert decode_record(payload).call_id == call.call_id


def test_a_lone_surrogate_is_replaced() -> None:
    read = decode_record(bytes_of(end_of(admission(), code="\ud800x")))
    assert isinstance(read, End)
    assert read.code == "?x"


def test_a_count_beyond_postgresql_is_bounded() -> None:
    read = decode_record(
        bytes_of(end_of(admission(), input_tokens=2**200, output_tokens=-(2**200)))
    )
    assert isinstance(read, End)
    assert (read.input_tokens, read.output_tokens) == (COUNT_MAX, 0)


def test_a_record_with_a_short_id_is_not_read() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_record(bytes_of(End(call_id=b"short", status=CallStatus.ANSWERED)))


def test_a_record_of_a_later_version_is_read() -> None:
    later = msgspec.msgpack.encode([*msgspec.msgpack.decode(bytes_of(end_of(admission()))), "new"])
    assert isinstance(decode_record(later), End)


def test_records_of_the_version_before_audio_are_read_as_they_were_meant() -> None:
    apart = ("reasoning", "audio_input", "audio_output")
    call = admission(**{f"price_{part}_micro_usd_per_million": None for part in apart})
    end = end_of(call, input_audio_tokens=0, output_audio_tokens=0)

    assert decode_record(without_last(bytes_of(call), 4, now_last=call.purpose)) == call
    assert decode_record(without_last(bytes_of(end), 2, now_last=end.answer_bytes)) == end


def test_record_of_the_version_before_rotation_is_one_of_a_key_s_only_secret() -> None:
    call = admission(price_audio_output_micro_usd_per_million=7)
    assert decode_record(without_last(bytes_of(call), 1, now_last=7)) == call


def test_an_interrupted_call_claims_no_usage() -> None:
    end = interrupted_end(admission())
    assert end.status is CallStatus.INTERRUPTED
    assert (end.input_tokens, end.cost_micro_usd, end.usage_estimated) == (0, 0, True)
