import hashlib
import hmac
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.lib.crypto import NONCE_BYTES, Peppers, SealBroken, Sealer

ROW, COLUMN = "018f-row", "app_table.column"
KEYS = {"s2": secrets.token_bytes(32), "s1": secrets.token_bytes(32)}
SEALER = Sealer(KEYS)


@given(st.text(), st.text(), st.text())
def test_sealed_secret_opens_under_its_own_row_and_column(
    secret: str, row: str, column: str
) -> None:
    if "\x00" in column:
        return
    assert (
        SEALER.open(SEALER.seal(secret, row=row, column=column), row=row, column=column) == secret
    )


@given(secret=st.text(max_size=50), data=st.data())
def test_any_changed_byte_is_refused(secret: str, data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(secret, row=ROW, column=COLUMN))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        SEALER.open(bytes(sealed), row=ROW, column=COLUMN)


@given(st.integers(0, 60))
def test_any_shortened_value_is_refused(kept: int) -> None:
    sealed = SEALER.seal("a secret of some length, enough to cut", row=ROW, column=COLUMN)
    with pytest.raises(SealBroken):
        SEALER.open(sealed[:kept], row=ROW, column=COLUMN)


@pytest.mark.parametrize(
    ("row", "column"), [("another row", COLUMN), (ROW, "app_table.other"), (COLUMN, ROW), ("", "")]
)
def test_value_moved_to_another_row_or_column_is_refused(row: str, column: str) -> None:
    sealed = SEALER.seal("secret", row=ROW, column=COLUMN)
    assert SEALER.open(sealed, row=ROW, column=COLUMN) == "secret"
    with pytest.raises(SealBroken, match="another row"):
        SEALER.open(sealed, row=row, column=column)


def test_value_under_a_key_that_is_not_configured_is_refused() -> None:
    sealed = Sealer({"s9": secrets.token_bytes(32)}).seal("secret", row=ROW, column=COLUMN)
    with pytest.raises(SealBroken, match="not configured"):
        SEALER.open(sealed, row=ROW, column=COLUMN)


def test_value_under_another_key_of_the_same_id_is_refused() -> None:
    sealed = Sealer({"s1": secrets.token_bytes(32)}).seal("secret", row=ROW, column=COLUMN)
    with pytest.raises(SealBroken):
        SEALER.open(sealed, row=ROW, column=COLUMN)


def test_first_key_seals_and_all_open() -> None:
    old = Sealer({"s1": KEYS["s1"]}).seal("secret", row=ROW, column=COLUMN)
    assert SEALER.open(old, row=ROW, column=COLUMN) == "secret"
    assert SEALER.seal("secret", row=ROW, column=COLUMN).startswith(b"s2:")


def test_each_sealing_takes_a_nonce_of_its_own() -> None:
    start = len(b"s2:")
    nonces = {
        SEALER.seal("x", row=ROW, column=COLUMN)[start : start + NONCE_BYTES] for _ in range(200)
    }
    assert len(nonces) == 200


@pytest.mark.parametrize("junk", [b"", b":", b"s1", b"s1:", b"\xff:\x00", b"s2:" + bytes(40)])
def test_junk_is_refused_without_a_word_of_the_key(junk: bytes) -> None:
    with pytest.raises(SealBroken) as refused:
        SEALER.open(junk, row=ROW, column=COLUMN)
    assert all(key.hex() not in str(refused.value) for key in KEYS.values())


def test_digest_is_hmac_sha256_under_the_named_pepper() -> None:
    peppers = Peppers(KEYS)
    expected = hmac.new(KEYS["s1"], b"credential", hashlib.sha256).digest()
    assert peppers.digest("credential", pepper_id="s1") == expected
    assert peppers.digest("credential", pepper_id="s2") != expected
    assert peppers.current_id == "s2"


def test_lost_pepper_matches_nothing() -> None:
    stored = Peppers({"s9": secrets.token_bytes(32)}).digest("credential", pepper_id="s9")
    assert Peppers(KEYS).digest("credential", pepper_id="s9") != stored


def test_keys_do_not_show_themselves() -> None:
    for holder in (SEALER, Peppers(KEYS)):
        assert all(str(key) not in repr(holder) for key in KEYS.values())
