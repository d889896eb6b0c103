from hypothesis import given
from hypothesis import strategies as st

from proxy.journal.frame import find_frame, frame, payload_at

payloads = st.binary(min_size=1, max_size=300)


@given(payloads, st.binary(max_size=50))
def test_a_frame_gives_its_payload_back_whatever_follows(payload: bytes, rest: bytes) -> None:
    found = payload_at(memoryview(frame(payload) + rest), 0)
    assert found is not None
    assert bytes(found) == payload


@given(payloads, st.data())
def test_a_frame_cut_anywhere_is_none(payload: bytes, data: st.DataObject) -> None:
    whole = frame(payload)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert payload_at(memoryview(whole[:cut]), 0) is None
    assert payload_at(memoryview(whole[:cut] + bytes(400)), 0) is None or not any(whole[cut:])


@given(payloads, st.data())
def test_a_frame_with_any_bit_turned_is_none(payload: bytes, data: st.DataObject) -> None:
    turned = bytearray(frame(payload))
    bit = data.draw(st.integers(0, 8 * len(turned) - 1))
    turned[bit // 8] ^= 1 << bit % 8
    assert payload_at(memoryview(bytes(turned)), 0) is None


@given(st.text(max_size=200), payloads)
def test_no_text_is_taken_for_a_frame(text: str, payload: bytes) -> None:
    words = text.encode()
    assert find_frame(words + frame(payload), 0) == len(words)


def test_empty_space_holds_no_frame() -> None:
    assert payload_at(memoryview(bytes(64)), 0) is None
    assert find_frame(bytes(64), 0) is None
