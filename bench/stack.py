"""An isolated Latchkey: a copy of the tree in a folder of its own, started as `make run` starts it.

The quickstart brings PostgreSQL, Valkey, the demonstration upstream and one seeded key. Gateways
under measurement are started beside it with the very environment that its own server got, because
the supervisor rightly ends everything as soon as one of its children dies.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.processes import (
    Measured,
    find_free_port,
    list_tree,
    start,
    wait_until_answering,
)
from bench.proof import NotProven

TREE = Path(__file__).resolve().parent.parent
READY_TIMEOUT_S = 120.0
GATEWAY_TIMEOUT_S = 30.0
APPLICATION = "portal.asgi:application"


class Stack(NamedTuple):
    """A running Latchkey: its facts from quickstart.json and what its server was started with."""

    folder: Path
    facts: dict[str, object]
    environment: dict[str, str]
    supervisor: Measured

    @property
    def api_key(self) -> str:
        return str(self.facts["api_key"])

    @property
    def chat_model(self) -> str:
        models = self.facts["models"]
        assert isinstance(models, dict)
        return str(models["chat"])


def copy_tree(folder: Path) -> Path:
    """Copy what git knows or would add, as it stands now, without data or environments."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=TREE,
        capture_output=True,
        check=True,
        timeout=60,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TREE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, folder / name)
    return folder


@contextmanager
def start_stack(
    folder: Path, *, core: int | None = None, keeper: str = "portal.quickstart"
) -> Iterator[Stack]:
    """Copy, start and seed a Latchkey of our own on free ports; end it and all its children.

    keeper: the module that starts the parts, and decides what becomes of one that ends.
    """
    # As root, the servers run under another account, which has to get through to its files.
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    tree = copy_tree(folder / "tree")
    if not (tree / "portal" / "quickstart" / "__main__.py").exists():
        raise NotProven("portal/quickstart is not there yet, so no Latchkey can be started.")
    command = [sys.executable, "-m", keeper, "--port", str(find_free_port())]
    log = folder / "quickstart.log"
    with start(command, log=log, core=core, folder=tree) as supervisor:
        facts = wait_for_facts(tree, supervisor, timeout_s=READY_TIMEOUT_S)
        yield Stack(tree, facts, _read_server_environment(supervisor), supervisor)


def wait_for_facts(tree: Path, starter: Measured, *, timeout_s: float) -> dict[str, object]:
    """Return what the quickstart of this tree says of itself once it is ready. Raises: NotProven."""
    path = tree / ".latchkey" / "quickstart.json"
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and starter.process.poll() is None:
        if path.exists():
            facts: dict[str, object] = json.loads(path.read_text())
            return facts
        time.sleep(0.1)
    raise NotProven(f"The quickstart did not become ready:\n{starter.describe_end()}")


def _read_server_environment(supervisor: Measured) -> dict[str, str]:
    for pid in list_tree(supervisor.pid):
        try:
            if b"portal.server" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                continue
            pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        except OSError:
            continue
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    raise NotProven("no process of the quickstart runs portal.server.")


@contextmanager
def start_gateway(
    stack: Stack,
    name: str,
    *,
    core: int | None = None,
    application: str = APPLICATION,
    workers: int = 1,
    extra: dict[str, str] | None = None,
) -> Iterator[tuple[Measured, int]]:
    """One more gateway of this stack; yields its process and its port."""
    port = find_free_port()
    journals = stack.folder / ".latchkey" / f"journal-{name}"
    # A journal of its own keeps a gateway's segments apart from those of the quickstart's server.
    environment = stack.environment | {"LATCHKEY_JOURNAL_DIR": str(journals)} | (extra or {})
    journals.mkdir(mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", "portal.server", "--port", str(port)]
    command += ["--workers", str(workers), "--stop-timeout", "5", application]
    log = stack.folder.parent / f"gateway-{name}.log"
    with start(
        command, log=log, core=core, environment=environment, folder=stack.folder
    ) as process:
        url = f"http://127.0.0.1:{port}/health/ready"
        wait_until_answering(process, url, timeout_s=GATEWAY_TIMEOUT_S)
        yield process, port
