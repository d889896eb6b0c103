"""What the tests of these pages share."""

from tests.accounts.conftest import cheap_passwords, committed

__all__ = ["cheap_passwords", "committed"]
