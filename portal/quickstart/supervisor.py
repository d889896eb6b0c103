"""Starts all parts of Latchkey on one machine in their order, watches them, and ends them all."""

import json
import os
import secrets
import select
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from portal.embedded.child import Child
from portal.embedded.private_files import make_private_dir, try_lock, write_private
from portal.embedded.stores import Stores
from portal.quickstart import ports
from portal.quickstart.errors import QuickstartError
from portal.quickstart.message import compose_message, write_facts
from portal.quickstart.settings_made_here import environment, load_secrets
from portal.quickstart.started import StartedProcesses
from portal.quickstart.stop_request import StopRequest

READY_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 180.0
UPSTREAM_TIMEOUT_S = 20.0
MIGRATOR = "LATCHKEY_DATABASE_MIGRATOR_URL"
POSTGRES_SETTINGS = {"max_wal_size": "256MB"}


class Supervisor:
    """One running Latchkey; leaving the context ends every process it started."""

    def __init__(self, *, root: Path, data_dir: Path, port: int, stop: StopRequest) -> None:
        """Describe the run; entering the context takes the data folder for it."""
        self._root = root
        self._data_dir = data_dir.absolute()
        self._port = port
        self._stop = stop
        self._base_url = f"http://{ports.HOST}:{port}"
        self._run_id = secrets.token_hex(16)
        self._facts_path = self._data_dir / "quickstart.json"
        self._started = StartedProcesses(self._data_dir / "processes.json", run_id=self._run_id)
        self._children: list[Child] = []
        self._stores: Stores | None = None
        self._env: dict[str, str] = {}
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the data folder, or say who has it."""
        make_private_dir(self._data_dir)
        lock = try_lock(self._data_dir / "lock")
        note = self._data_dir / "running.json"
        if lock is None:
            raise QuickstartError(_running_already(note))
        self._lock = lock
        write_private(note, json.dumps({"pid": os.getpid(), "base_url": self._base_url}))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything, what callers see first, and let the data folder go."""
        self._facts_path.unlink(missing_ok=True)
        for child in reversed(self._children):
            child.stop()
        if self._stores is not None:
            self._stores.stop()
        self._started.forget()
        (self._data_dir / "running.json").unlink(missing_ok=True)
        os.close(self._lock)

    def start(self) -> None:
        """Start every part, and return once the portal answers and its facts are published."""
        self._facts_path.unlink(missing_ok=True)
        if self._started.end_leftovers():
            print("Ended what a killed run had left behind.", flush=True)
        ports.refuse_taken(self._port)
        made = load_secrets(self._data_dir)
        self._start_stores(made)
        self._run_command("migrate", "migrate", "--database", "migrator", "--verbosity", "0")
        self._env.pop(MIGRATOR)
        upstream_url = self._start_upstream(made["demo_upstream_key"])
        seeded = self._seed(upstream_url, key=made["demo_upstream_key"])
        self._start_server()
        self._start_worker()
        self._wait_until_ready()
        write_facts(self._facts_path, base_url=self._base_url, seeded=seeded)
        print(
            compose_message(base_url=self._base_url, seeded=seeded, facts_path=self._facts_path),
            flush=True,
        )

    def watch(self) -> None:
        """Stay until a stop is asked for, or raise QuickstartError when a part has ended."""
        while True:
            self._refuse_dead_parts()
            self._stop.sleep(0.2)

    def _start_stores(self, made: dict[str, Any]) -> None:
        print("Starting PostgreSQL and Valkey", flush=True)
        self._stores = Stores(
            self._data_dir / "stores",
            log_dir=self._data_dir / "logs",
            postgres_settings=POSTGRES_SETTINGS,
        )
        self._stores.start()
        if self._stores.home != self._stores.data_dir:
            print(
                f"Running as root, from a folder closed to other accounts: the databases' files are in "
                f"{self._stores.home}. Once {self._data_dir} is removed, the next start here removes them.",
                flush=True,
            )
        (self._data_dir / "journal").mkdir(mode=0o700, exist_ok=True)
        self._env = environment(
            data_dir=self._data_dir,
            base_url=self._base_url,
            run_id=self._run_id,
            made=made,
            servers=self._stores.environment(),
        )
        self._note_started()
        self._stop.obey()

    def _start_upstream(self, key: str) -> str:
        """Start the demonstration upstream, on the port it had before if that is free."""
        print("Starting the demonstration upstream", flush=True)
        note = self._data_dir / "demo-port"
        before = int(note.read_text(encoding="utf-8")) if note.exists() else 0
        port = before if before and ports.is_free(before) else 0
        child = self._spawn(
            "demonstration upstream",
            "-m",
            "demo.upstream",
            "--port",
            str(port),
            extra={"DEMO_UPSTREAM_KEY": key},
            pipe_stdout=True,
        )
        line = self._first_line(child)
        port = int(json.loads(line)["port"])
        write_private(note, str(port))
        return f"http://{ports.HOST}:{port}/v1"

    def _first_line(self, child: Child) -> bytes:
        """Return the first line of a child's output, or raise when it does not come in time."""
        assert child.stdout is not None  # noqa: S101 - it was started with a pipe.
        for _ in range(int(UPSTREAM_TIMEOUT_S / 0.1)):
            if select.select([child.stdout], [], [], 0.1)[0]:
                line = child.stdout.readline()
                if line:
                    return line
            self._refuse_dead_parts()
            self._stop.obey()
        raise QuickstartError(f"The {child.name} did not say its port:\n{child.log_tail()}")

    def _seed(self, upstream_url: str, *, key: str) -> dict[str, Any]:
        """Seed on the first start, and on each let the provider follow the upstream's port.

        The command itself writes the facts before it commits, for keys and passwords are shown
        once: a kill between the two leaves nothing behind that nobody knows.
        """
        path = self._data_dir / "facts.json"
        extra = {"LATCHKEY_DEMO_UPSTREAM_URL": upstream_url, "DEMO_UPSTREAM_KEY": key}
        self._run_command("seed", "seed_demonstration", "--facts", str(path), extra=extra)
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def _start_server(self) -> None:
        print("Starting the server and the worker", flush=True)
        # Without a kill time-out the server waits for a caller who does not read. It is longer than what the gateway
        # takes to drain, to cut and to ship what is journalled.
        options = "--interface asgi --workers 1 --loop uvloop --http 1 --no-ws --backlog 4096"
        times = "--workers-kill-timeout 30 --http1-header-read-timeout 10000"
        address = f"--host {ports.HOST} --port {self._port}"
        command = ["-m", "granian", *f"{options} {times} {address}".split()]
        self._spawn(
            "server",
            *command,
            "portal.asgi:application",
            extra={"LATCHKEY_DRAIN_S": "5"},
            stop_timeout_s=35.0,
        )

    def _start_worker(self) -> None:
        schedule = self._data_dir / "beat-schedule"
        options = "--beat --pool solo --loglevel INFO --without-gossip --without-mingle"
        celery = ["-m", "celery", "-A", "portal.celery", "worker", *options.split()]
        self._spawn("worker", *celery, "--schedule", str(schedule))

    def _spawn(
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
            env=self._env | (extra or {}),
            log_path=self._data_dir / "logs" / f"{name.replace(' ', '-')}.log",
            cwd=self._root,
            pipe_stdout=pipe_stdout,
            stop_timeout_s=stop_timeout_s,
        )
        self._children.append(child)
        self._note_started()
        return child

    def _run_command(self, name: str, *arguments: str, extra: dict[str, str] | None = None) -> None:
        """Run one of manage.py's commands to its end."""
        print(f"Running manage.py {arguments[0]}", flush=True)
        child = self._spawn(name, "manage.py", *arguments, extra=extra)
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

    def _wait_until_ready(self) -> None:
        for _ in range(int(READY_TIMEOUT_S / 0.1)):
            self._refuse_dead_parts()
            if _answers(f"{self._base_url}/health/ready"):
                return
            self._stop.sleep(0.1)
        raise QuickstartError(
            f"The portal did not become ready within {READY_TIMEOUT_S:.0f} s; "
            f"its logs are in {self._data_dir / 'logs'}."
        )

    def _refuse_dead_parts(self) -> None:
        """Raise with the last lines of its log when a part has ended by itself."""
        for child in self._all_children():
            if child.has_ended():
                raise QuickstartError(
                    f"The {child.name} ended by itself, so everything stops. "
                    f"Its log, {child.log_path}, ends:\n{child.log_tail()}"
                )

    def _note_started(self) -> None:
        self._started.write(self._all_children())

    def _all_children(self) -> list[Child]:
        servers = self._stores.children if self._stores is not None else []
        return [*servers, *self._children]


def _running_already(note: Path) -> str:
    try:
        running = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return f"Latchkey is already starting or stopping with the data in {note.parent}."
    return (
        f"Latchkey already runs at {running['base_url']} (process {running['pid']}). "
        f"Stop it with Ctrl-C where it runs, or with: kill {running['pid']}"
    )


def _answers(url: str) -> bool:
    """Say whether the address answers with 200; a proxy of the environment is never asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=3) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
