"""What is the same for every rival: the key, the path, the model, and where it runs."""

from pathlib import Path
from typing import NamedTuple

from bench.load import Target
from bench.processes import Measured, find_free_port

KEY = "sk-measurement-0123456789abcdef"
AUTHORIZATION = f"Bearer {KEY}"
PATH = "/v1/chat/completions"
MODEL = "demo-chat"


class Place(NamedTuple):
    """Where a gateway runs, and what it stands in front of.

    core: what it is pinned to; None leaves it to the system.
    load_core: where the load and the upstream are pinned.
    """

    folder: Path
    upstream: int
    core: int | None
    load_core: int
    workers: int = 1

    def new_folder(self, name: str) -> tuple[Path, int]:
        """A folder for one gateway's files, and a port for it."""
        port = find_free_port()
        folder = self.folder / f"{name}-{port}"
        folder.mkdir(parents=True)
        return folder, port

    def target(
        self,
        name: str,
        port: int,
        process: Measured,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        checks_key: bool = True,
    ) -> Target:
        """The gateway, ready to be called."""
        return Target(
            name=name,
            url=f"http://127.0.0.1:{port}{PATH}",
            authorization=AUTHORIZATION,
            model=MODEL,
            process=process,
            core=self.core,
            checks_key=checks_key,
            headers=headers,
        )
