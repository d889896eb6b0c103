"""Directives are found in any text, and a typing error in one is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.directive import ORDINARY, Directive, Fault, read_directive, strip_directives
from demo.envelope import Refusal


def test_last_directive_counts_and_none_is_repeated() -> None:
    text = "Say [[demo status=500]] this [[demo delay_s=0.5 fault=cut at_byte=7 marker=m-1]]"
    wanted = Directive(delay_s=0.5, fault=Fault.CUT, at_byte=7, marker="m-1")
    assert read_directive(text) == wanted
    assert strip_directives(text) == "Say  this"


@pytest.mark.parametrize(
    "words", ["dely_s=1", "delay_s=soon", "delay_s=-1", "delay_s=nan", "status=200", "fault=none"]
)
def test_directive_with_a_typing_error_is_refused(words: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_directive(f"[[demo {words}]]")
    assert (refused.value.status, refused.value.code) == (400, "bad_directive")


@given(st.text())
def test_text_without_a_directive_asks_for_ordinary_behaviour(text: str) -> None:
    assert read_directive(text.replace("[[demo", "")) is ORDINARY
