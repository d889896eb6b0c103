"""A stand-in for a data folder that the servers' account cannot reach, and the end of those that nobody needs any more.

Root's own folders are often closed to everyone else, and widening them is not ours to do.
"""

import json
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from portal.embedded.account import Account
from portal.embedded.places import reaches
from portal.embedded.private_files import make_private_dir, write_private

ELSEWHERE = Path("/var/lib")
_NAME = "latchkey-"
# In the data folder: where the stand-in is. In the stand-in: whose it is.
_NOTE = "elsewhere"
_OWNER = "stands-in-for.json"


def home_for(data_dir: Path, account: Account | None, *, elsewhere: Path = ELSEWHERE) -> Path:
    """Return where the servers' files go: the data folder, or a stand-in their account can reach.

    The stand-in's name is random and remembered in the data folder, so a new clone never meets old data. Those
    whose data folder was removed are removed here.
    """
    if account is not None:
        remove_orphans(elsewhere)
    if reaches(account, data_dir):
        return data_dir
    note = data_dir / _NOTE
    if not note.exists():
        write_private(note, str(elsewhere / f"{_NAME}{secrets.token_hex(6)}"))
    home = make_private_dir(Path(note.read_text(encoding="utf-8")))
    owner = {"data_dir": str(data_dir), "device": data_dir.stat().st_dev}
    write_private(home / _OWNER, json.dumps(owner))
    return home


def remove_orphans(elsewhere: Path = ELSEWHERE) -> None:
    """Remove the stand-ins whose data folder is gone for good, or names another one now."""
    for home in elsewhere.glob(f"{_NAME}*"):
        # What cannot be read, or is not as we write it, is not ours to remove.
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _is_ours(home) and _is_orphan(home):
                shutil.rmtree(home)


def _is_ours(home: Path) -> bool:
    """Whether nobody but us could have written down whose it is."""
    seen = (home.lstat(), (home / _OWNER).lstat())
    kinds = stat.S_ISDIR(seen[0].st_mode) and stat.S_ISREG(seen[1].st_mode)
    return kinds and all(one.st_uid == os.geteuid() and not one.st_mode & 0o022 for one in seen)


def _is_orphan(home: Path) -> bool:
    owner = json.loads((home / _OWNER).read_text(encoding="utf-8"))
    data_dir = Path(owner["data_dir"])
    if data_dir.exists():
        note = data_dir / _NOTE
        return not note.exists() or note.read_text(encoding="utf-8") != str(home)
    parent = next(folder for folder in data_dir.parents if folder.exists())
    # A volume that is not mounted now hides its folders, and will show them again.
    return parent.stat().st_dev == int(owner["device"])
