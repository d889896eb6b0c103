from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client

from tests.accounts.conftest import committed
from tests.accounts.rows import new_person

__all__ = ["committed"]


@pytest.fixture
def administrator(db: None) -> Iterator[Client]:
    """A client that an administrator is signed in with."""
    cache.clear()
    client = Client()
    client.force_login(new_person(is_administrator=True))
    yield client
    cache.clear()
