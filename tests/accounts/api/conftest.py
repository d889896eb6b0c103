from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def no_earlier_tries() -> Iterator[None]:
    """Forget what other tests were counted for."""
    cache.clear()
    yield
    cache.clear()
