"""What `manage.py check` and every start hold the deployment against. Settings at fault stop earlier, in portal.settings."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register, run_checks
from django.core.exceptions import ImproperlyConfigured


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


def refuse_to_boot() -> None:
    """Raise when a check finds an error; servers and workers call it, as only `manage.py` checks by itself."""
    errors = [found for found in run_checks(tags=["latchkey"]) if found.is_serious()]
    if errors:
        raise ImproperlyConfigured("\n".join(str(error) for error in errors))
