"""What `manage.py check` and every start hold the deployment against. Settings at fault stop earlier, in portal.settings."""

import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from django.apps.config import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register, run_checks
from django.core.exceptions import ImproperlyConfigured

ASK_TIMEOUT_S = 5
# An owner of the table, and whoever may become one, can give itself every right on it.
_ASK_FOR_RIGHTS = """
    SELECT role.rolsuper,
        coalesce(pg_has_role(trail.relowner, 'MEMBER'), false),
        coalesce(has_table_privilege(trail.oid, 'UPDATE, DELETE, TRUNCATE'), false)
    FROM pg_roles AS role LEFT JOIN pg_class AS trail ON trail.oid = to_regclass('accounts_auditentry')
    WHERE role.rolname = current_user
"""
_log = logging.getLogger("latchkey.boot")


@register("latchkey")
def keys_are_apart(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A key used for two purposes would let a leak of one open the other."""
    peppers = set(settings.LATCHKEY_KEY_PEPPERS.values())
    sealing = set(settings.LATCHKEY_SEALING_KEYS.values())
    if peppers & sealing:
        return [
            Error(
                "LATCHKEY_KEY_PEPPERS and LATCHKEY_SEALING_KEYS share a key.",
                hint="Make each with `python -c 'import secrets; print(secrets.token_hex(32))'`.",
                id="latchkey.E001",
            )
        ]
    return []


@register("latchkey")
def application_role_is_not_the_owner(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """An owner could drop the triggers and rewrite the audit trail."""
    migrator = settings.DATABASES.get("migrator", {}).get("USER")
    if migrator and migrator == settings.LATCHKEY_APPLICATION_ROLE:
        return [
            Error(
                "LATCHKEY_DATABASE_URL and LATCHKEY_DATABASE_MIGRATOR_URL name one role.",
                hint="Give the application a role of its own that does not own the tables.",
                id="latchkey.E002",
            )
        ]
    return []


@register("latchkey", Tags.database)
def application_role_cannot_rewrite_the_trail(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """PostgreSQL is asked, as the owner's name is not known where servers run. One that is away is health's to tell."""
    if "default" not in (databases or ()):
        return []
    try:
        # Not through the pool, which a worker that forks must not open.
        with psycopg.connect(
            settings.LATCHKEY_DATABASE_URL, connect_timeout=ASK_TIMEOUT_S, autocommit=True
        ) as connection:
            faults = faults_of_role(connection)
    except psycopg.OperationalError:
        _log.warning("PostgreSQL cannot be asked for the application role's rights.")
        return []
    return [
        Error(
            f"The role of LATCHKEY_DATABASE_URL {fault}: it could rewrite the audit trail.",
            hint="Give the application the role that migrations granted its rights to.",
            id="latchkey.E002",
        )
        for fault in faults
    ]


def faults_of_role(connection: psycopg.Connection[Any]) -> list[str]:
    """Return why the connection's role could rewrite the audit trail, at most one reason."""
    found = connection.execute(_ASK_FOR_RIGHTS).fetchone()
    is_superuser, is_owner, may_change = found or (False, False, False)
    if is_superuser:
        return ["is a superuser"]
    if is_owner:
        return ["owns accounts_auditentry, or is a member of the role that does"]
    return ["may UPDATE, DELETE or TRUNCATE accounts_auditentry"] if may_change else []


@register("latchkey")
def journal_holds_two_segments(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A journal writes one segment while the one before it is shipped."""
    if settings.LATCHKEY_JOURNAL_MAX_BYTES < 2 * settings.LATCHKEY_JOURNAL_SEGMENT_BYTES:
        return [
            Error(
                "LATCHKEY_JOURNAL_MAX_BYTES is less than two segments.",
                hint="Raise it, or lower LATCHKEY_JOURNAL_SEGMENT_BYTES.",
                id="latchkey.E003",
            )
        ]
    return []


@register("latchkey", deploy=True)
def proxies_are_counted(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Behind a proxy that ends TLS, pages would redirect to https for ever."""
    if not settings.LATCHKEY_BASE_URL.startswith("https://") or settings.LATCHKEY_TRUSTED_HOPS:
        return []
    return [
        checks.Warning(
            "LATCHKEY_BASE_URL is https:// and LATCHKEY_TRUSTED_HOPS is 0.",
            hint="Right only where this server ends TLS itself; count the proxies in front otherwise.",
            id="latchkey.W002",
        )
    ]


@register("latchkey", deploy=True)
def base_url_is_encrypted(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    if settings.LATCHKEY_BASE_URL.startswith("https://") or settings.LATCHKEY_DEMONSTRATION:
        return []
    return [
        checks.Warning(
            "LATCHKEY_BASE_URL is not https://: keys and prompts would travel in clear text.",
            hint="Put TLS in front and name that address.",
            id="latchkey.W001",
        )
    ]


@register("latchkey", deploy=True)
def staff_need_a_second_factor(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    if settings.LATCHKEY_STAFF_SECOND_FACTOR == "required" or settings.LATCHKEY_DEMONSTRATION:
        return []
    return [
        checks.Warning(
            "LATCHKEY_STAFF_SECOND_FACTOR is optional: an administrator's password alone opens the admin.",
            hint="Leave it out, and staff are led to set up a second factor when they next sign in.",
            id="latchkey.W003",
        )
    ]


def refuse_to_boot() -> None:
    """Raise when a check finds an error; servers and workers call it, as only `manage.py` checks by itself."""
    errors = [
        found
        for found in run_checks(tags=["latchkey"], databases=["default"])
        if found.is_serious()
    ]
    if errors:
        raise ImproperlyConfigured("\n".join(str(error) for error in errors))
