"""What the tests of these pages share."""

from tests.accounts.conftest import committed

__all__ = ["committed"]
