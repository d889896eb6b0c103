"""The processes of a run: programs of ours that stay, commands that end, and the servers of the stores, watched as one."""

import select
import sys
from pathlib import Path

from portal.embedded.child import Child
from portal.embedded.stores import Stores
from portal.quickstart.errors import QuickstartError
from portal.quickstart.started import StartedProcesses
from portal.quickstart.stop_request import StopRequest

COMMAND_TIMEOUT_S = 180.0
FIRST_LINE_TIMEOUT_S = 20.0


class Parts:
    """What runs, in the order of its start; each start is noted, so that a killed run's can be ended by the next.

    env: what programs and commands get; it is known once the stores run.
    stores: set as soon as they are being started, to be watched and ended with the rest.
    """

    def __init__(
        self, *, root: Path, log_dir: Path, started: StartedProcesses, stop: StopRequest
    ) -> None:
        """Start nothing yet. Programs run in `root`, the repository."""
        self.env: dict[str, str] = {}
        self.stores: Stores | None = None
        self._root = root
        self._log_dir = log_dir
        self._started = started
        self._stop = stop
        self._children: list[Child] = []

    def start(
        self,
        name: str,
        *arguments: str,
        extra: dict[str, str] | None = None,
        pipe_stdout: bool = False,
        stop_timeout_s: float = 15.0,
    ) -> Child:
        """Start a Python program of ours from the repository, to be ended with us."""
        child = Child(
            name,
            [sys.executable, *arguments],
            env=self.env | (extra or {}),
            log_path=self._log_dir / f"{name.replace(' ', '-')}.log",
            cwd=self._root,
            pipe_stdout=pipe_stdout,
            stop_timeout_s=stop_timeout_s,
        )
        self._children.append(child)
        self.note()
        return child

    def run_command(self, name: str, *arguments: str, extra: dict[str, str] | None = None) -> None:
        """Run one of manage.py's commands to its end."""
        print(f"Running manage.py {arguments[0]}", flush=True)
        child = self.start(name, "manage.py", *arguments, extra=extra)
        for _ in range(int(COMMAND_TIMEOUT_S / 0.05)):
            if child.has_ended():
                break
            self._stop.sleep(0.05)
        child.stop()
        self._children.remove(child)
        if child.exit_code != 0:
            raise QuickstartError(
                f"manage.py {arguments[0]} failed ({child.log_path}):\n{child.log_tail()}"
            )

    def first_line(self, child: Child) -> bytes:
        """Return the first line of a child's output, or raise when it does not come in time."""
        assert child.stdout is not None  # noqa: S101 - it was started with a pipe.
        for _ in range(int(FIRST_LINE_TIMEOUT_S / 0.1)):
            if select.select([child.stdout], [], [], 0.1)[0]:
                line = child.stdout.readline()
                if line:
                    return line
            self.refuse_dead()
            self._stop.obey()
        raise QuickstartError(f"The {child.name} did not say its port:\n{child.log_tail()}")

    def refuse_dead(self) -> None:
        """Raise with the last lines of its log when a part has ended by itself."""
        for child in self._all():
            if child.has_ended():
                raise QuickstartError(
                    f"The {child.name} ended by itself, so everything stops. "
                    f"Its log, {child.log_path}, ends:\n{child.log_tail()}"
                )

    def note(self) -> None:
        """Write down what runs now."""
        self._started.write(self._all())

    def end(self) -> None:
        """End everything, the last started first."""
        for child in reversed(self._children):
            child.stop()
        if self.stores is not None:
            self.stores.stop()
        self._started.forget()

    def _all(self) -> list[Child]:
        servers = self.stores.children if self.stores is not None else []
        return [*servers, *self._children]
