from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test commit: what other connections are to see has to stand."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture
def application(database_url: str, django_db_setup: None) -> Iterator[psycopg.Connection]:
    """A connection of the application's role, outside Django."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
