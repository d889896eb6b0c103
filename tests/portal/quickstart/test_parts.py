"""The supervisor's parts: ports, leftovers, facts and secrets, each without the whole portal."""

import json
import os
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.embedded import processes
from portal.embedded.child import Child
from portal.embedded.private_files import try_lock
from portal.quickstart import ports
from portal.quickstart.errors import QuickstartError
from portal.quickstart.message import compose_message, write_facts
from portal.quickstart.settings_made_here import RUN_ID, environment, load_secrets
from portal.quickstart.started import StartedProcesses

SEEDED = {
    "admin": {"email": "a@example.org", "password": "pa"},
    "member": {"email": "m@example.org", "password": "pm"},
    "api_key": "lk_a_b",
    "models": {"chat": "chat", "embeddings": "embed"},
    "more": "not published",
}
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
ORPHAN = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    child = Child("sleeper", SLEEP, env={RUN_ID: "run"}, log_path=tmp_path / "sleeper.log")
    yield child
    child.stop()


def test_taken_port_is_named_with_the_remedy(taken_port: int) -> None:
    with pytest.raises(QuickstartError, match=rf"{taken_port} is taken.*make run PORT=\d+"):
        ports.refuse_taken(taken_port)


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_number_that_is_no_port_is_refused_with_the_remedy(port: int) -> None:
    with pytest.raises(QuickstartError, match=r"is no port.*make run PORT="):
        ports.refuse_taken(port)


def test_secrets_are_private_long_and_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)
    assert load_secrets(tmp_path) == first
    assert mode(tmp_path / "secrets.json") == 0o600
    assert min(len(value) for value in first.values()) >= 43
    assert len(first["secret_key"]) >= 50


def test_own_settings_win_over_the_shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATCHKEY_SECRET_KEY", "from the shell")
    made = load_secrets(tmp_path)
    env = environment(
        data_dir=tmp_path, base_url="http://127.0.0.1:1", run_id="r", made=made, servers={}
    )
    assert env["LATCHKEY_SECRET_KEY"] == made["secret_key"]


def test_facts_are_private_and_hold_what_is_promised(tmp_path: Path) -> None:
    path = tmp_path / "quickstart.json"
    write_facts(path, base_url="http://127.0.0.1:1", seeded=SEEDED)
    facts = json.loads(path.read_text())
    assert list(facts) == ["base_url", "admin", "member", "api_key", "models"]
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["quickstart.json"]


def test_message_holds_one_curl_line_a_shell_can_read(tmp_path: Path) -> None:
    message = compose_message(
        base_url="http://127.0.0.1:1", seeded=SEEDED, facts_path=tmp_path / "quickstart.json"
    )
    (line,) = [line for line in message.splitlines() if line.startswith("curl ")]
    words = shlex.split(line)
    assert "Authorization: Bearer lk_a_b" in words
    assert json.loads(words[-1])["model"] == "chat"


def test_leftovers_of_a_killed_run_are_ended(tmp_path: Path, sleeper: Child) -> None:
    StartedProcesses(tmp_path / "processes.json", run_id="run").write([sleeper])
    later = StartedProcesses(tmp_path / "processes.json", run_id="later")
    assert later.end_leftovers() == 1
    assert sleeper.has_ended()
    assert later.end_leftovers() == 0


def test_process_that_took_over_a_number_is_left_alone(tmp_path: Path, sleeper: Child) -> None:
    path = tmp_path / "processes.json"
    StartedProcesses(path, run_id="another run").write([sleeper])
    noted = json.loads(path.read_text())
    noted["processes"][0]["started"] = "another moment"
    path.write_text(json.dumps(noted))
    assert StartedProcesses(path, run_id="later").end_leftovers() == 0
    assert not sleeper.has_ended()


@pytest.mark.skipif(sys.platform != "linux", reason="Members of a group are found through /proc.")
def test_members_of_a_group_whose_leader_was_killed_are_ended(tmp_path: Path) -> None:
    child = Child(
        "leader",
        [sys.executable, "-c", ORPHAN],
        env={RUN_ID: "run"},
        log_path=tmp_path / "leader.log",
        pipe_stdout=True,
    )
    assert child.stdout is not None
    orphan = int(child.stdout.readline())
    StartedProcesses(tmp_path / "processes.json", run_id="run").write([child])
    os.kill(child.pid, 9)
    while not child.has_ended():
        pass
    assert processes.identify(orphan) is not None
    StartedProcesses(tmp_path / "processes.json", run_id="later").end_leftovers()
    assert processes.identify(orphan) is None
    child.stop()


def test_second_start_says_that_one_runs_and_where(tmp_path: Path, repository: Path) -> None:
    assert try_lock(tmp_path / "lock") is not None
    note = {"pid": 4711, "base_url": "http://127.0.0.1:8000"}
    (tmp_path / "running.json").write_text(json.dumps(note))
    second = run_quickstart(tmp_path, repository, port=8000)
    assert second.returncode == 1
    assert "already runs at http://127.0.0.1:8000 (process 4711)" in second.stderr


def test_start_on_a_taken_port_fails_before_anything_runs(
    tmp_path: Path, repository: Path, taken_port: int
) -> None:
    refused = run_quickstart(tmp_path, repository, port=taken_port)
    assert refused.returncode == 1
    assert f"Port {taken_port} is taken" in refused.stderr
    assert not (tmp_path / "stores").exists()


def run_quickstart(
    data_dir: Path, repository: Path, *, port: int
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "portal.quickstart", "--port", str(port)]
    return subprocess.run(
        [*command, "--data-dir", str(data_dir)],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
