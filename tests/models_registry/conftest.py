from tests.accounts.conftest import committed

__all__ = ["committed"]
