"""The account the servers run under: ours, or a second one where we are root.

PostgreSQL refuses to run as root, and Valkey has no reason to. No user is created: the servers
need a number, not a name, so a free one is derived from the data's path; two sets of data on one
machine have two.
"""

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from portal.embedded.errors import EmbeddedServerError

# Above what useradd gives out by default and below systemd's dynamic users.
FIRST_UID = 55_000
UID_COUNT = 4_000


@dataclass(frozen=True)
class Account:
    """A user and a group by number."""

    uid: int
    gid: int


def choose_account(data_dir: Path) -> Account | None:
    """Return the second account for these data, or None where we are not root."""
    if os.geteuid() != 0:
        return None
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).digest()
    offset = int.from_bytes(digest[:4]) % UID_COUNT
    for step in range(UID_COUNT):
        uid = FIRST_UID + (offset + step) % UID_COUNT
        if not _is_known(uid):
            return Account(uid, uid)
    raise EmbeddedServerError("No free user id between 55000 and 58999 for the servers.")


def named_account() -> Account | None:
    """Return an unprivileged account that has a name, which initdb insists on; None if not root."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedServerError(
            "Running as root needs the account `nobody`, which this system lacks. "
            "Run as an ordinary user instead."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def give(path: Path, account: Account | None) -> None:
    """Hand a file, or a folder with all that is in it, to the account; None leaves it ours."""
    if account is None:
        return
    if path.is_dir() and not path.is_symlink():
        for _, folders, files, folder_fd in os.fwalk(path):
            for name in folders + files:
                os.chown(name, account.uid, account.gid, dir_fd=folder_fd, follow_symlinks=False)
    os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
