import base64
import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.credential import (
    CHECKSUM_LENGTH,
    PUBLIC_ID_LENGTH,
    SECRET_LENGTH,
    checksum,
    make_credential,
    read_credential,
)

ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


@given(st.integers())
def test_every_issued_key_reads_with_its_public_id(seed: int) -> None:
    made = make_credential()
    read = read_credential(made.text)
    assert read is not None
    assert (read.text, read.public_id) == (made.text, made.public_id)


def test_key_has_the_published_form_and_at_least_160_bits_of_secret() -> None:
    text = make_credential().text
    assert re.fullmatch(r"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", text)
    assert 62**SECRET_LENGTH > 2**160


@given(data=st.data())
def test_every_change_of_one_character_is_refused(data: st.DataObject) -> None:
    text = make_credential().text
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda one: one != text[at]))
    assert read_credential(text[:at] + other + text[at + 1 :]) is None


def test_each_position_changed_to_each_other_letter_is_refused() -> None:
    text = make_credential().text
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
    for at, present in enumerate(text):
        for other in letters.replace(present, ""):
            assert read_credential(text[:at] + other + text[at + 1 :]) is None


@given(st.text() | st.text(ASCII) | st.text(ASCII).map(lambda text: f"lk_{text}"))
def test_junk_is_never_read(text: str) -> None:
    assert read_credential(text) is None


@pytest.mark.parametrize(
    "spoil", [" {}", "{} ", "{}\n", "{}\x00", "Bearer {}", "{0}{0}", "{}=", ""]
)
def test_key_with_anything_around_it_is_refused(spoil: str) -> None:
    assert read_credential(spoil.format(make_credential().text)) is None


@pytest.mark.parametrize("cut", range(1, 54))
def test_shortened_key_is_refused(cut: int) -> None:
    assert read_credential(make_credential().text[:-cut]) is None


def test_digits_of_other_scripts_are_refused() -> None:
    public_id = "\u0660" * PUBLIC_ID_LENGTH
    body = f"lk_{public_id}_{'a' * SECRET_LENGTH}"
    assert read_credential(body + checksum(body)) is None


def test_checksum_is_the_one_that_scanners_were_told() -> None:
    # CRC-32/ISO-HDLC publishes this value for "123456789".
    assert checksum("123456789") == _base62(0xCBF43926)
    assert len(checksum("")) == CHECKSUM_LENGTH


def test_two_keys_share_nothing_that_finds_them() -> None:
    made = [make_credential() for _ in range(500)]
    assert len({one.public_id for one in made}) == len({one.text for one in made}) == 500


def test_key_of_another_issuer_is_refused() -> None:
    for text in (f"sk-{secrets.token_urlsafe(40)}", base64.b64encode(bytes(39)).decode()):
        assert read_credential(text) is None


def test_credential_does_not_show_itself() -> None:
    made = make_credential()
    assert made.text not in repr(made)
    assert made.text not in str(made)


def _base62(value: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    while value:
        value, digit = divmod(value, 62)
        text = digits[digit] + text
    return text.rjust(CHECKSUM_LENGTH, "0")
