"""The tokenizer loses nothing and counts as its documentation says."""

from hypothesis import given
from hypothesis import strategies as st

from demo.tokens import count_tokens, split_tokens


@given(st.text())
def test_joined_tokens_are_the_text_again(text: str) -> None:
    assert "".join(split_tokens(text)) == text
    assert len(split_tokens(text)) == count_tokens(text)


def test_long_words_are_cut_and_punctuation_stands_alone() -> None:
    assert split_tokens("Hello, latchkeys! ") == ["Hello", ",", " latchk", "eys", "!", " "]
