from tests.accounts.conftest import cheap_passwords, committed

__all__ = ["cheap_passwords", "committed"]
