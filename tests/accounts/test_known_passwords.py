import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

LONGER = [
    "1qaz2wsx3edc4rfv",
    "password1234567",
    "Password-Password!",
    "2024 qwertyuiop 2024",
    "letmeinletmeinletmein",
    "p a s s w o r d 12345678",
    "111111111111111",
    "abababababababab",
    "!!! Sunshine !!! 2025",
    "пїѕпїѕпїѕпїѕпїѕпїѕпїѕ",
]


@pytest.mark.parametrize("password", LONGER)
def test_word_that_is_tried_first_is_refused_however_it_is_made_longer(password: str) -> None:
    assert len(password) >= 14
    with pytest.raises(ValidationError) as refused:
        validate_password(password + password[:1] * (15 - len(password)))
    assert refused.value.error_list[0].code == "password_too_common"


@pytest.mark.parametrize("password", ["short", "fourteen chars", "x9!Kd03-#mQw_z"])
def test_password_under_15_characters_is_refused(password: str) -> None:
    with pytest.raises(ValidationError, match="15 characters"):
        validate_password(password)


@pytest.mark.parametrize(
    "password",
    [
        "a long enough passphrase",
        "quite another passphrase",
        "secret garden behind walls",
        "7hXq-9fLm-22kP-vvZ1",
    ],
)
def test_passphrase_of_several_words_is_taken(password: str) -> None:
    validate_password(password)
