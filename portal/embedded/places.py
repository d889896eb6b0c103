"""Where data, sockets and programs lie, so that the servers' account can reach them."""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from portal.embedded.account import Account
from portal.embedded.errors import EmbeddedServerError

# sun_path is 104 bytes on macOS and 108 on Linux, with the closing zero.
LONGEST_SOCKET_PATH = 103
LONGEST_SOCKET_NAME = "/.s.PGSQL.5432"


def socket_dir(data_dir: Path, account: Account | None) -> Path:
    """Return a short folder of mode 0700 for these data's sockets, made if need be.

    Data may lie deep and a socket's path may not, so the folder stands in the first of the usual
    places and carries a digest of the data's path.
    """
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    for parent in _socket_parents():
        folder = parent / f"latchkey-{digest}"
        too_long = len(os.fsencode(folder)) + len(LONGEST_SOCKET_NAME) > LONGEST_SOCKET_PATH
        if not too_long and os.access(parent, os.W_OK | os.X_OK) and reaches(account, parent):
            return _own_socket_dir(folder, account)
    raise EmbeddedServerError(
        "No folder is short and private enough for the servers' sockets; "
        "set XDG_RUNTIME_DIR or TMPDIR to a short path that you own."
    )


def reaches(account: Account | None, path: Path) -> bool:
    """Say whether the account may pass every folder down to the path, itself included."""
    if account is None:
        return True
    path = path.resolve()
    return all(_may_pass(account, folder) for folder in (path, *path.parents))


def reachable_copy(
    site: Path, parts: tuple[str, ...], *, home: Path, account: Account | None
) -> Path:
    """Return the folder that holds the parts where the account can reach them: site, or a copy under home.

    parts: paths under site of all that the programs need, the libraries that they look for beside themselves included;
    in the copy they lie as they do in site.
    """
    if all(reaches(account, site / part) for part in parts):
        return site
    where = "\0".join(str(site / part) for part in parts)
    stamp = max(int((site / part).stat().st_mtime) for part in parts)
    copy = home / "programs" / f"{hashlib.sha256(os.fsencode(where)).hexdigest()[:8]}-{stamp}"
    if not copy.exists():
        staging = copy.with_suffix(".new")
        shutil.rmtree(staging, ignore_errors=True)
        for part in parts:
            shutil.copytree(site / part, staging / part, symlinks=True)
        copy.parent.chmod(0o755)
        staging.rename(copy)
    return copy


def _socket_parents() -> list[Path]:
    """List the places for sockets, best first; root's runtime folder is closed to others."""
    if os.geteuid() == 0:
        return [Path("/run"), Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - verified below
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    private = [Path(runtime)] if runtime.startswith("/") and Path(runtime).is_dir() else []
    return [*private, Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - verified below


def _own_socket_dir(folder: Path, account: Account | None) -> Path:
    """Make the folder, or accept it only if it is a real folder of mode 0700 that is ours."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if account is not None:
            os.chown(folder, account.uid, account.gid)
    seen = folder.lstat()
    owners = {account.uid} if account else {os.geteuid()}
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid not in owners or seen.st_mode & 0o777 != 0o700:
        raise EmbeddedServerError(
            f"{folder} exists and is not a private folder of user {owners}: mode "
            f"{stat.filemode(seen.st_mode)}, owner {seen.st_uid}. Someone else made it; remove it, "
            "or set XDG_RUNTIME_DIR to a folder of your own."
        )
    return folder


def _may_pass(account: Account, folder: Path) -> bool:
    seen = folder.stat()
    if seen.st_uid == account.uid:
        return bool(seen.st_mode & stat.S_IXUSR)
    if seen.st_gid == account.gid:
        return bool(seen.st_mode & stat.S_IXGRP)
    return bool(seen.st_mode & stat.S_IXOTH)
