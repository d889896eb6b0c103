"""Makes .venv from the hash-locked requirements: `python3 bootstrap.py base embedded [test]`.

Needs nothing but Python's standard library, and runs on any Python 3 that can then name a
supported one. Written for old interpreters on purpose: their refusal should be a sentence.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "latchkey-stamp.json"
SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))
PREFERENCE = ("python3.13", "python3.12", "python3.11", "python3.14", "python3")
PROBE = "import sys; print(sys.implementation.name, *sys.version_info[:2], sys.base_prefix)"

UV_HINT = (
    " uv reads neither pip's configuration nor the system's certificates: behind a proxy that opens TLS, set"
    " SSL_CERT_FILE to its authorities; for an index of your own, UV_DEFAULT_INDEX."
)


def main(groups):
    """Bring .venv up to date with the groups' locks; do nothing where it already is."""
    with _alone():
        _bring_up_to_date(groups)


@contextmanager
def _alone():
    """Hold the project's folder, so that two runs at once do not remove each other's half-made .venv.

    The kernel lets go with the process, also after kill -9.
    """
    folder = os.open(str(ROOT), os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another run that is making .venv", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _bring_up_to_date(groups):
    wanted = {group: _digest(group) for group in groups}
    installed = _read_stamp()
    if installed is not None and wanted.items() <= installed.items():
        return
    if installed is None:
        _make_venv(_choose_python())
        installed = {}
    # Groups that were installed stay, at what their locks say now.
    wanted = {group: _digest(group) for group in {**installed, **wanted}}
    # Whoever is killed from here on leaves no stamp, and the next start begins anew.
    if STAMP.exists():
        STAMP.unlink()
    _install(sorted(wanted))
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")


def _digest(group):
    return hashlib.sha256((ROOT / "requirements" / (group + ".txt")).read_bytes()).hexdigest()


def _read_stamp():
    """Return what .venv holds, or None where it is missing, half made or of another Python."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = _probe(str(VENV_PYTHON))
    if kind is None:
        return None
    chosen = os.environ.get("PYTHON")
    return None if chosen and _probe(chosen) != kind else stamp


def _choose_python():
    """Return a supported interpreter: $PYTHON if it is set, else the best one on the path."""
    chosen = os.environ.get("PYTHON")
    if chosen:
        if _probe(chosen) is None:
            sys.exit(
                "PYTHON=%s is not a CPython that Latchkey supports (3.11 to 3.14). "
                "Name another: make run PYTHON=/path/to/python3.13" % chosen
            )
        return chosen
    for name in PREFERENCE:
        path = shutil.which(name)
        if path and _probe(path) is not None:
            return path
    sys.exit(
        "Latchkey needs CPython 3.11 to 3.14; none of %s on the path is one (this is %s). "
        "Install one, or name it: make run PYTHON=/path/to/python3.13"
        % (", ".join(PREFERENCE), sys.version.split()[0])
    )


def _probe(python):
    """Return the interpreter's version and home if it runs and is supported, else None.

    The home tells builds of one version apart. An environment's is that of the interpreter it was made with.
    """
    try:
        answer = subprocess.run(
            [python, "-I", "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    words = answer.stdout.decode().strip().split(" ", 3)
    if answer.returncode or words[:1] != ["cpython"]:
        return None
    version = (int(words[1]), int(words[2]))
    return (*version, words[3]) if version in SUPPORTED else None


def _make_venv(python):
    print("Making .venv with %s" % python, flush=True)
    if VENV.is_symlink() or VENV.exists():
        shutil.rmtree(VENV)
    uv = shutil.which("uv")
    command = [uv, "venv", "--quiet", "--python", python] if uv else [python, "-m", "venv"]
    if subprocess.run([*command, str(VENV)]).returncode:
        sys.exit("No virtual environment could be made. On Debian, install python3-venv.")


def _install(groups):
    """Install the groups' locks, every file checked against its hash."""
    print("Installing %s" % ", ".join("requirements/%s.txt" % name for name in groups), flush=True)
    files = [
        part for name in groups for part in ("-r", str(ROOT / "requirements" / (name + ".txt")))
    ]
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(VENV_PYTHON)]
    else:
        command = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet"]
        command += ["--disable-pip-version-check"]
    if subprocess.run([*command, "--require-hashes", *files]).returncode:
        told = "The locked requirements could not be installed; the lines above say why."
        sys.exit(told + (UV_HINT if uv else ""))


if __name__ == "__main__":
    main(sys.argv[1:])
