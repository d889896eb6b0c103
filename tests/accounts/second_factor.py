"""People with a second factor, and what their app shows."""

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value

from accounts.models import User
from accounts.writes.second_factors import add_totp
from tests.accounts.rows import new_person


def code_of(secret: str, *, later: int = 0) -> str:
    """What an app shows that knows the secret, or will show that many half minutes later."""
    code: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + later))
    return code


def give_app(person: User) -> str:
    """Set up an app for the person. Returns: its secret."""
    secret: str = generate_totp_secret()
    add_totp(person, secret=secret, code=code_of(secret))
    return secret


def person_with_app(*, is_administrator: bool = False) -> tuple[User, str]:
    person = new_person(is_administrator=is_administrator)
    return person, give_app(person)
