"""A PostgreSQL URL as Django's settings dictionary. libpq parses it, so that every form it knows works here too."""

from typing import Any

from psycopg import conninfo

_OWN = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}


def django_database(url: str) -> dict[str, Any]:
    """Return the DATABASES entry for `url`; parameters without a name of Django's own become OPTIONS."""
    parts = conninfo.conninfo_to_dict(url) if url else {}
    entry: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }
    for name, value in parts.items():
        if name in _OWN:
            entry[_OWN[name]] = str(value)
        else:
            entry["OPTIONS"][name] = value
    return entry


def user_of(url: str) -> str:
    return str(conninfo.conninfo_to_dict(url).get("user") or "") if url else ""
