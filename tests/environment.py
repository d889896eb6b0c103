"""Settings that need no server, with fresh secrets; as a program, runs a tool under them.

`python -m tests.environment mypy` lets tools load the settings where no server runs: the addresses
they get lead nowhere.
"""

import os
import secrets
import sys

NOWHERE = {
    "LATCHKEY_DATABASE_URL": "postgresql://latchkey_app@/latchkey?host=/nonexistent",
    "LATCHKEY_BROKER_URL": "unix:///nonexistent/valkey.sock?db=0",
    "LATCHKEY_CACHE_URL": "unix:///nonexistent/valkey.sock?db=1",
    "LATCHKEY_LIMITS_URL": "unix:///nonexistent/valkey.sock?db=2",
}


def fixed_environment(*, journal_dir: str) -> dict[str, str]:
    """Return every required setting but the servers' addresses."""
    return {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "LATCHKEY_SECRET_KEY": secrets.token_urlsafe(64),
        "LATCHKEY_KEY_PEPPERS": f"p1:{secrets.token_hex(32)}",
        "LATCHKEY_SEALING_KEYS": f"s1:{secrets.token_hex(32)}",
        "LATCHKEY_BASE_URL": "http://testserver",
        "LATCHKEY_ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "LATCHKEY_PROVIDER_NETWORKS": "127.0.0.0/8,::1/128",
        "LATCHKEY_ISSUER_NETWORKS": "127.0.0.0/8,::1/128",
        "LATCHKEY_JOURNAL_DIR": journal_dir,
        # What it demands has tests of its own; all others sign staff in by a password.
        "LATCHKEY_STAFF_SECOND_FACTOR": "optional",
    }


if __name__ == "__main__":
    os.environ.update(fixed_environment(journal_dir="/nonexistent") | NOWHERE)
    os.execvp(sys.argv[1], sys.argv[1:])
