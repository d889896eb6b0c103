import pytest

from portal.lib.database_url import django_database, user_of

FORMS = {
    "whole": (
        "postgresql://app:p%40ss@db.corp:5433/latchkey",
        {"HOST": "db.corp", "PORT": "5433", "USER": "app", "PASSWORD": "p@ss", "NAME": "latchkey"},
    ),
    "socket in the query": (
        "postgresql://app@/latchkey?host=/run/pg",
        {"HOST": "/run/pg", "USER": "app", "NAME": "latchkey"},
    ),
    "socket escaped": (
        "postgresql://app@%2Frun%2Fpg/latchkey",
        {"HOST": "/run/pg", "USER": "app", "NAME": "latchkey"},
    ),
    "two hosts": (
        "postgresql://app@a:1,b:2/latchkey",
        {"HOST": "a,b", "PORT": "1,2", "USER": "app", "NAME": "latchkey"},
    ),
    "IPv6": ("postgresql://app@[::1]/latchkey", {"HOST": "::1", "USER": "app", "NAME": "latchkey"}),
}


@pytest.mark.parametrize("case", FORMS.values(), ids=FORMS)
def test_url_becomes_django_settings(case: tuple[str, dict[str, str]]) -> None:
    url, expected = case
    entry = django_database(url)
    assert {name: entry[name] for name in expected} == expected
    assert entry["ENGINE"] == "django.db.backends.postgresql"


def test_other_parameters_become_options() -> None:
    entry = django_database("postgresql://app@h/d?sslmode=verify-full&connect_timeout=2")
    assert entry["OPTIONS"] == {"sslmode": "verify-full", "connect_timeout": "2"}


def test_connecting_is_bounded_unless_said_otherwise() -> None:
    assert django_database("postgresql://app@h/d")["OPTIONS"]["connect_timeout"] == 5


def test_user_is_the_role() -> None:
    assert user_of("postgresql://app:secret@h/d") == "app"
    assert user_of("postgresql://h/d") == ""
    assert user_of("") == ""


def test_no_thread_keeps_a_connection_of_its_own() -> None:
    alone, pooled = (
        django_database("postgresql://app@h/d", is_pooled=way) for way in (False, True)
    )
    assert (alone["CONN_MAX_AGE"], pooled["CONN_MAX_AGE"]) == (0, 0)
    assert "pool" not in alone["OPTIONS"]
    assert pooled["OPTIONS"]["pool"]["max_size"] == 10
