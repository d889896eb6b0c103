"""The provider's credential does not pass, wherever an upstream cuts it."""

import json
import time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import Code, Refusal
from proxy.secret_watch import SHORTEST_STRETCH, SecretWatch
from proxy.upstreams.openai_chat import Said

SECRET = 'sk-upstream-Qm4Zt8Wc2Vb6Nx1K/+=\\"end'
HALF = (len(SECRET) + 1) // 2
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def says(text: str, name: str = "content") -> Said:
    return _decode(json.dumps({"role": "assistant", name: text}))


def calls_tool(text: str, index: int = 0) -> Said:
    call = {"index": index, "function": {"arguments": text}}
    return _decode(json.dumps({"tool_calls": [call], "content": None}))


def shown_of(*deltas: Said, secret: str = SECRET) -> int | None:
    """How many deltas passed before the answer was ended, None where all did."""
    watch = SecretWatch(secret.encode())
    for number, delta in enumerate(deltas):
        try:
            watch.see(0, delta)
        except Refusal:
            return number
    return None


def test_the_refusal_does_not_say_the_credential_itself() -> None:
    with pytest.raises(Refusal) as refused:
        SecretWatch(SECRET.encode()).see(0, says(SECRET))
    assert refused.value.code is Code.UPSTREAM_NONSENSE
    assert SECRET not in refused.value.detail + refused.value.public_text


@pytest.mark.parametrize("at", range(len(SECRET) + 1))
@pytest.mark.parametrize("make", [says, calls_tool])
def test_a_credential_in_two_events_is_seen_wherever_it_is_cut(make: object, at: int) -> None:
    assert callable(make)
    assert shown_of(make(f"It is {SECRET[:at]}"), make(f"{SECRET[at:]}.")) is not None


@given(st.lists(st.integers(1, 5), min_size=1))
def test_less_than_half_of_it_passes_however_it_is_cut(sizes: list[int]) -> None:
    deltas: list[str] = []
    at = 0
    while at < len(SECRET):
        size = sizes[len(deltas) % len(sizes)]
        deltas.append(SECRET[at : at + size])
        at += size
    passed = shown_of(says("Your key: "), *map(says, deltas))
    assert passed is not None
    assert len("".join(deltas[: passed - 1])) < HALF


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from([SECRET, SECRET[4:24]]))
@example("", "", SECRET[4:24])
def test_an_answer_that_would_be_ended_is_always_looked_into(
    before: str, after: str, secret: str
) -> None:
    for is_ascii in (True, False):
        body = json.dumps({"content": before + secret + after}, ensure_ascii=is_ascii).encode(
            "utf-8", "replace"
        )
        assert SecretWatch(secret.encode()).may_stand_in(body)
    plain = json.dumps({"content": "Nothing of it."}).encode()
    assert not SecretWatch(secret.encode()).may_stand_in(plain)


@pytest.mark.parametrize("start", range(len(SECRET) - HALF + 1))
def test_any_half_of_it_is_too_much_and_less_is_not(start: int) -> None:
    half = SECRET[start : start + HALF]
    assert shown_of(*map(says, f"%{half}%")) == HALF
    assert shown_of(says(f"%{half}%")) == 0
    assert shown_of(*map(says, f"%{half[1:]}%{half[:-1]}%")) is None


def test_choices_names_and_tools_are_read_apart() -> None:
    watch = SecretWatch(SECRET.encode())
    first, second = SECRET[: HALF - 1], SECRET[HALF - 1 :][: HALF - 1]
    watch.see(0, says(first))
    watch.see(1, says(second))
    watch.see(0, says(second, "reasoning_content"))
    watch.see(0, calls_tool(second, 0))
    watch.see(0, calls_tool(first, 1))
    with pytest.raises(Refusal):
        watch.see(0, calls_tool(second, 1))
    with pytest.raises(Refusal):
        watch.see(0, says(second))


@pytest.mark.parametrize(
    "written",
    [json.dumps(SECRET), json.dumps(SECRET).replace("/", "\\/"),
     '"' + "".join(f"\\u{ord(character):04x}" for character in SECRET) + '"'],
)  # fmt: skip
def test_escapes_hide_nothing(written: str) -> None:
    assert shown_of(_decode(f'{{"content":{written}}}')) == 0
    assert shown_of(_decode(f'{{"content":{json.dumps(SECRET[3 : HALF + 2])}}}')) is None


@pytest.mark.parametrize(
    ("secret", "stretch"),
    [("abcdefghijklmnopqrst", 10), ("abcdefghijkl", SHORTEST_STRETCH), ("abcde", 5), ("x", 1)],
)
def test_of_a_short_credential_more_has_to_stand_there(secret: str, stretch: int) -> None:
    for at in range(len(secret) - stretch + 1):
        assert shown_of(*map(says, secret[at : at + stretch]), secret=secret) == stretch - 1
        assert shown_of(*map(says, secret[at : at + stretch - 1]), secret=secret) is None


def test_a_provider_without_a_credential_is_not_watched() -> None:
    assert shown_of(says(""), says(SECRET), secret="") is None


def test_what_an_upstream_says_under_ever_new_names_is_bounded() -> None:
    assert shown_of(*(says("a", f"name {number}") for number in range(3000))) == 2048


def test_an_ordinary_event_costs_some_microseconds() -> None:
    watch, delta = SecretWatch(SECRET.encode()), says(" token")
    started = time.thread_time()
    for _ in range(20_000):
        watch.see(0, delta)
    assert (time.thread_time() - started) / 20_000 < 50e-6
