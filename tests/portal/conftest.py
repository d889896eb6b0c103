from tests.accounts.conftest import cheap_passwords

__all__ = ["cheap_passwords"]
