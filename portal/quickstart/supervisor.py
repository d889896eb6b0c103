"""Starts all parts of Latchkey on one machine in their order, watches them, and ends them all."""

import json
import os
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from portal.embedded.private_files import make_private_dir, try_lock, write_private
from portal.embedded.stores import Stores
from portal.quickstart import ports
from portal.quickstart.errors import QuickstartError
from portal.quickstart.message import compose_message, write_facts
from portal.quickstart.parts import Parts
from portal.quickstart.settings_made_here import environment, load_secrets
from portal.quickstart.started import StartedProcesses
from portal.quickstart.stop_request import StopRequest

READY_TIMEOUT_S = 60.0
MIGRATOR = "LATCHKEY_DATABASE_MIGRATOR_URL"
POSTGRES_SETTINGS = {"max_wal_size": "256MB"}


class Supervisor:
    """One running Latchkey; leaving the context ends every process it started."""

    def __init__(self, *, root: Path, data_dir: Path, port: int, stop: StopRequest) -> None:
        """Describe the run; entering the context takes the data folder for it."""
        self._data_dir = data_dir.absolute()
        self._port = port
        self._stop = stop
        self._base_url = f"http://{ports.HOST}:{port}"
        self._run_id = secrets.token_hex(16)
        self._facts_path = self._data_dir / "quickstart.json"
        self._started = StartedProcesses(self._data_dir / "processes.json", run_id=self._run_id)
        self._parts = Parts(
            root=root, log_dir=self._data_dir / "logs", started=self._started, stop=stop
        )
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
        self._parts.end()
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
        self._parts.run_command("migrate", "migrate", "--database", "migrator", "--verbosity", "0")
        self._parts.env.pop(MIGRATOR)
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
            self._parts.refuse_dead()
            self._stop.sleep(0.2)

    def _start_stores(self, made: dict[str, Any]) -> None:
        print("Starting PostgreSQL and Valkey", flush=True)
        stores = self._parts.stores = Stores(
            self._data_dir / "stores",
            log_dir=self._data_dir / "logs",
            postgres_settings=POSTGRES_SETTINGS,
        )
        stores.start()
        if stores.home != stores.data_dir:
            print(
                f"Running as root, from a folder closed to other accounts: the databases' files are in "
                f"{stores.home}. Once {self._data_dir} is removed, the next start here removes them.",
                flush=True,
            )
        (self._data_dir / "journal").mkdir(mode=0o700, exist_ok=True)
        self._parts.env = environment(
            data_dir=self._data_dir,
            base_url=self._base_url,
            run_id=self._run_id,
            made=made,
            servers=stores.environment(),
        )
        self._parts.note()
        self._stop.obey()

    def _start_upstream(self, key: str) -> str:
        """Start the demonstration upstream, on the port it had before if that is free."""
        print("Starting the demonstration upstream", flush=True)
        note = self._data_dir / "demo-port"
        before = int(note.read_text(encoding="utf-8")) if note.exists() else 0
        port = before if before and ports.is_free(before) else 0
        child = self._parts.start(
            "demonstration upstream",
            "-m",
            "demo.upstream",
            "--port",
            str(port),
            extra={"DEMO_UPSTREAM_KEY": key},
            pipe_stdout=True,
        )
        line = self._parts.first_line(child)
        port = int(json.loads(line)["port"])
        write_private(note, str(port))
        return f"http://{ports.HOST}:{port}/v1"

    def _seed(self, upstream_url: str, *, key: str) -> dict[str, Any]:
        """Seed on the first start, and on each let the provider follow the upstream's port.

        The command itself writes the facts before it commits, for keys and passwords are shown
        once: a kill between the two leaves nothing behind that nobody knows.
        """
        path = self._data_dir / "facts.json"
        extra = {"LATCHKEY_DEMO_UPSTREAM_URL": upstream_url, "DEMO_UPSTREAM_KEY": key}
        self._parts.run_command("seed", "seed_demonstration", "--facts", str(path), extra=extra)
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def _start_server(self) -> None:
        print("Starting the server and the worker", flush=True)
        # Longer than what the gateway takes to drain, to cut and to ship what is journalled.
        options = f"--host {ports.HOST} --port {self._port} --stop-timeout 30"
        self._parts.start(
            "server",
            *("-m", "portal.server", *options.split()),
            extra={"LATCHKEY_DRAIN_S": "5"},
            stop_timeout_s=35.0,
        )

    def _start_worker(self) -> None:
        schedule = self._data_dir / "beat-schedule"
        options = "--beat --pool solo --loglevel INFO --without-gossip --without-mingle"
        celery = ["-m", "celery", "-A", "portal.celery", "worker", *options.split()]
        self._parts.start("worker", *celery, "--schedule", str(schedule))

    def _wait_until_ready(self) -> None:
        for _ in range(int(READY_TIMEOUT_S / 0.1)):
            self._parts.refuse_dead()
            if _answers(f"{self._base_url}/health/ready"):
                return
            self._stop.sleep(0.1)
        raise QuickstartError(
            f"The portal did not become ready within {READY_TIMEOUT_S:.0f} s; "
            f"its logs are in {self._data_dir / 'logs'}."
        )


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
