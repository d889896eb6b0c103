"""The settings `make run` gives to the processes it starts; secrets are made on the first start."""

import os
import secrets
from pathlib import Path
from typing import Any

from portal.embedded.private_files import load_or_make

# Whoever runs the quickstart may set these; all else is ours, whatever the shell holds.
DEFAULTS = {"LATCHKEY_PROVIDER_NETWORKS": "127.0.0.0/8,::1/128,public"}
RUN_ID = "LATCHKEY_RUN_ID"


def load_secrets(data_dir: Path) -> dict[str, Any]:
    """Return this machine's secrets, made and kept with mode 0600 on the first start."""
    return load_or_make(data_dir / "secrets.json", _make_secrets)


def environment(
    *,
    data_dir: Path,
    base_url: str,
    run_id: str,
    made: dict[str, Any],
    servers: dict[str, str],
) -> dict[str, str]:
    """Return the whole environment of the server, the worker and the commands.

    It travels as the environment, which no other user can read, and never as arguments.
    """
    return {
        **DEFAULTS,
        **os.environ,
        **servers,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "LATCHKEY_SECRET_KEY": made["secret_key"],
        "LATCHKEY_KEY_PEPPERS": made["key_peppers"],
        "LATCHKEY_SEALING_KEYS": made["sealing_keys"],
        "LATCHKEY_BASE_URL": base_url,
        "LATCHKEY_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "LATCHKEY_TRUSTED_HOPS": "0",
        "LATCHKEY_EMAIL_URL": "caught",
        "LATCHKEY_JOURNAL_DIR": str(data_dir / "journal"),
        "LATCHKEY_DEMONSTRATION": "1",
        # Each page of the demonstration says so.
        "LATCHKEY_STAFF_SECOND_FACTOR": "optional",
        RUN_ID: run_id,
    }


def _make_secrets() -> dict[str, Any]:
    return {
        "secret_key": secrets.token_urlsafe(64),
        "key_peppers": f"p1:{secrets.token_hex(32)}",
        "sealing_keys": f"s1:{secrets.token_hex(32)}",
        "demo_upstream_key": secrets.token_urlsafe(32),
    }
