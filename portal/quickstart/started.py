"""The processes a run has started, written down so that a killed run's can be ended by the next."""

import json
import signal
from pathlib import Path

from portal.embedded import processes
from portal.embedded.child import Child
from portal.embedded.private_files import write_private
from portal.embedded.processes import ProcessIdentity
from portal.quickstart.settings_made_here import RUN_ID


class StartedProcesses:
    """A file of process numbers, each with its start, so that no foreign process is ever ended."""

    def __init__(self, path: Path, *, run_id: str) -> None:
        """Keep this run's processes in the file."""
        self._path = path
        self._run_id = run_id

    def write(self, children: list[Child]) -> None:
        """Replace the file's list by these children."""
        identities = [(child.identity, int(child.stop_signal)) for child in children]
        rows = [
            {"pid": identity.pid, "started": identity.started, "stop_signal": stop_signal}
            for identity, stop_signal in identities
            if identity is not None
        ]
        write_private(self._path, json.dumps({"run_id": self._run_id, "processes": rows}))

    def end_leftovers(self) -> int:
        """End what an earlier run left running, last started first; return how many there were."""
        try:
            noted = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        ended = 0
        marker = f"{RUN_ID}={noted['run_id']}".encode()
        for row in reversed(noted["processes"]):
            identity = ProcessIdentity(row["pid"], row["started"])
            if processes.is_running(identity):
                processes.end(
                    identity, stop_signal=signal.Signals(row["stop_signal"]), timeout_s=20.0
                )
                ended += 1
            processes.end_group_remains(identity.pid, marker=marker)
        self.forget()
        return ended

    def forget(self) -> None:
        """Remove the file; nothing of this run is left."""
        self._path.unlink(missing_ok=True)
