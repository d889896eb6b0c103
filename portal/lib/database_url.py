"""A PostgreSQL URL as Django's settings dictionary. libpq parses it, so that every form it knows works here too."""

from typing import Any

from psycopg import conninfo

# Of one process. A page that finds none free for so long fails, which is better than a server without any left.
POOL = {"min_size": 0, "max_size": 10, "timeout": 5.0, "reconnect_timeout": 2.0}
_OWN = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}


def django_database(url: str, *, is_pooled: bool = False) -> dict[str, Any]:
    """Return the DATABASES entry for `url`; parameters without a name of Django's own become OPTIONS.

    is_pooled: share few connections. Django gives every request a thread, whose own would be kept by nobody.
    """
    parts = conninfo.conninfo_to_dict(url) if url else {}
    entry: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }
    for name, value in parts.items():
        if name in _OWN:
            entry[_OWN[name]] = str(value)
        else:
            entry["OPTIONS"][name] = value
    if is_pooled:
        entry["OPTIONS"]["pool"] = dict(POOL)
    return entry


def user_of(url: str) -> str:
    return str(conninfo.conninfo_to_dict(url).get("user") or "") if url else ""
