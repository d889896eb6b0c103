"""Both embedded servers: nobody without a password, nothing readable, back after any death."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.embedded import processes
from portal.embedded.errors import EmbeddedServerError
from portal.embedded.roles import role_url
from portal.embedded.stores import Stores

HOLD = """
import sys, time
from pathlib import Path
from portal.embedded.stores import Stores
stores = Stores(Path(sys.argv[1]))
stores.start()
print(*[child.pid for child in stores.children], flush=True)
time.sleep(100)
"""


@pytest.fixture(scope="module")
def stores(shared_dir: Path) -> Iterator[Stores]:
    """Servers that the tests of this module share and leave running."""
    with Stores(shared_dir / "stores") as started:
        yield started


@pytest.fixture(scope="module")
def harmed_stores(shared_dir: Path) -> Iterator[Stores]:
    with Stores(shared_dir / "harmed") as started:
        yield started


@pytest.fixture
def own_stores(harmed_stores: Stores) -> Stores:
    """Servers that a test may stop or harm, running, whatever the test before did."""
    harmed_stores.postgres.stop()
    harmed_stores.postgres.start()
    return harmed_stores


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def connect(stores: Stores, **change: str) -> psycopg.Connection:
    facts = {
        "user": "latchkey_app",
        "password": stores.passwords["application"],
        "database": "latchkey",
        "host": str(stores.socket_dir),
    }
    return psycopg.connect(role_url(**(facts | change)), connect_timeout=5)


def test_both_servers_answer_to_their_passwords(stores: Stores) -> None:
    with connect(stores) as connection:
        row = connection.execute("SELECT current_user").fetchone()
    assert row == ("latchkey_app",)
    with redis.Redis.from_url(stores.valkey.url(2)) as client:
        assert client.ping() is True


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("user", ["latchkey_app", "latchkey_owner", "latchkey_admin"])
def test_postgres_refuses_every_role_without_its_password(
    stores: Stores, user: str, password: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(stores, user=user, password=password)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_valkey_refuses_without_its_password(stores: Stores, password: str | None) -> None:
    socket = stores.socket_dir / "valkey.sock"
    # Its own retries would ask ten times more, for seconds.
    once = Retry(NoBackoff(), 0)
    client = redis.Redis(unix_socket_path=str(socket), password=password, retry=once)
    with client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_neither_server_listens_on_the_network(stores: Stores) -> None:
    with psycopg.connect(stores.postgres.superuser_url) as admin:
        assert admin.execute("SHOW listen_addresses").fetchone() == ("",)
    with redis.Redis.from_url(stores.valkey.url(0)) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_sockets_data_and_passwords_are_their_owners_alone(stores: Stores) -> None:
    sockets = [stores.socket_dir / ".s.PGSQL.5432", stores.socket_dir / "valkey.sock"]
    assert [mode(path) for path in (stores.socket_dir, *sockets)] == [0o700] * 3
    folders = [stores.home / "postgres", stores.home / "valkey", stores.data_dir / "logs"]
    assert [mode(path) for path in folders] == [0o700] * 3
    files = [stores.data_dir / "passwords.json", *(stores.data_dir / "logs").iterdir()]
    assert {mode(path) for path in files} == {0o600}


def test_no_password_stands_in_an_argument_list_or_log(stores: Stores) -> None:
    texts = [processes.command_line(child.pid) for child in stores.children]
    texts += [path.read_bytes() for path in (stores.data_dir / "logs").iterdir()]
    texts += [(stores.home / "valkey" / "valkey.conf").read_bytes()]
    for password in stores.passwords.values():
        assert all(password.encode() not in text for text in texts)


def test_application_role_is_neither_owner_nor_superuser(stores: Stores) -> None:
    with connect(stores) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE public.forbidden (id int)")
    with psycopg.connect(stores.environment()["LATCHKEY_DATABASE_MIGRATOR_URL"]) as owner:
        owner.execute("CREATE TABLE public.allowed (id int)")
        row = owner.execute(
            "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = %s", ["latchkey_owner"]
        ).fetchone()
    assert row == (False,)


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root has a second account to run under.")
def test_servers_of_root_run_under_another_account(stores: Stores) -> None:
    for child in stores.children:
        assert Path(f"/proc/{child.pid}").stat().st_uid >= 55_000


def test_data_outlive_a_stop_and_a_second_stop_is_harmless(open_dir: Path) -> None:
    for expected in ([], [("kept",)]):
        with Stores(open_dir / "stores") as stores:
            with psycopg.connect(stores.environment()["LATCHKEY_DATABASE_MIGRATOR_URL"]) as owner:
                owner.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
                assert owner.execute("SELECT text FROM notes").fetchall() == expected
                owner.execute("INSERT INTO notes VALUES ('kept')")
            children = stores.children
        stores.stop()
        assert not any(processes.exists(child.pid) for child in children)


def test_second_start_on_the_same_data_is_refused(stores: Stores) -> None:
    with pytest.raises(EmbeddedServerError, match="Another process runs"):
        Stores(stores.data_dir)


def test_data_may_lie_deeper_than_a_sockets_path_may_be_long(open_dir: Path) -> None:
    deep = open_dir.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    with Stores(deep / "stores") as stores:
        assert len(str(stores.socket_dir)) < 80 < len(str(stores.data_dir))
        connect(stores).close()


def hold(data_dir: Path, repository: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Run both servers from another process; return it and the servers' numbers."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=repository,
    )
    assert holder.stdout is not None
    return holder, [int(pid) for pid in holder.stdout.readline().split()]


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(processes.identify(pid) for pid in pids):
        assert time.monotonic() < deadline, f"{pids} still run"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux signals a parent's death.")
def test_servers_die_with_a_starter_that_was_killed(open_dir: Path, repository: Path) -> None:
    holder, pids = hold(open_dir / "stores", repository)
    with holder:
        holder.kill()
    assert len(pids) == 2
    wait_until_gone(pids)


def test_start_recovers_from_kill_of_everything_at_once(open_dir: Path, repository: Path) -> None:
    holder, pids = hold(open_dir / "stores", repository)
    with holder:
        for pid in (*pids, holder.pid):
            os.kill(pid, signal.SIGKILL)
    with Stores(open_dir / "stores") as stores:
        assert (stores.home / "postgres" / "postmaster.pid").exists()
        connect(stores).close()


def test_start_ends_a_postmaster_that_outlived_its_starter(own_stores: Stores) -> None:
    leftover = own_stores.postgres.child
    assert leftover is not None
    before = leftover.pid
    own_stores.postgres.start()
    leftover.stop()
    assert leftover.exit_code == 0
    assert own_stores.postgres.child is not None
    assert own_stores.postgres.child.pid != before
    connect(own_stores).close()


def test_pid_file_that_names_a_stranger_or_a_zombie_does_not_stop_the_start(
    own_stores: Stores,
) -> None:
    own_stores.postgres.stop()
    pid_file = own_stores.home / "postgres" / "postmaster.pid"
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    while not processes.is_zombie(zombie.pid):
        time.sleep(0.02)
    for pid in (zombie.pid, os.getpid()):
        pid_file.write_text(f"{pid}\n{own_stores.home / 'postgres'}\n")
        os.chown(pid_file, *2 * [(own_stores.home / "postgres").stat().st_uid])
        own_stores.postgres.start()
        connect(own_stores).close()
        own_stores.postgres.stop()
    assert zombie.wait() == 0


@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe"])
def test_pid_file_that_leads_elsewhere_is_left_alone(
    own_stores: Stores, open_dir: Path, kind: str
) -> None:
    own_stores.postgres.stop()
    pid_file = own_stores.home / "postgres" / "postmaster.pid"
    victim = open_dir / "victim"
    victim.write_text("1\nroot's own")
    match kind:
        case "symbolic":
            pid_file.symlink_to(victim)
        case "hard":
            pid_file.hardlink_to(victim)
        case _:
            os.mkfifo(pid_file)
    with pytest.raises(EmbeddedServerError, match="no plain file"):
        own_stores.postgres.start()
    assert victim.read_text() == "1\nroot's own"
    pid_file.unlink()
    own_stores.postgres.start()
    connect(own_stores).close()


def test_every_file_of_the_data_belongs_to_the_servers_account(own_stores: Stores) -> None:
    # Files come and go while it runs.
    own_stores.postgres.stop()
    data = own_stores.home / "postgres"
    owners = {path.lstat().st_uid for path in (data, *data.rglob("*"))}
    assert owners == {data.stat().st_uid}
    assert stat.S_IMODE((data / "pg_hba.conf").stat().st_mode) == 0o600
    assert not (own_stores.home / "postgres.new").exists()


def test_half_made_data_of_a_killed_start_are_made_anew(open_dir: Path) -> None:
    half = open_dir / "stores" / "postgres.new" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with Stores(open_dir / "stores") as stores:
        connect(stores).close()
    assert not half.exists()


def test_socket_folder_made_by_someone_else_is_refused(open_dir: Path) -> None:
    with Stores(open_dir / "stores") as stores:
        folder = stores.socket_dir
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(EmbeddedServerError, match="not a private folder"):
        Stores(open_dir / "stores")
    folder.rmdir()
    folder.symlink_to("/tmp")
    with pytest.raises(EmbeddedServerError, match="not a private folder"):
        Stores(open_dir / "stores")
    folder.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root's account is shut out of folders.")
def test_data_that_the_account_cannot_reach_go_elsewhere_and_stay_there(open_dir: Path) -> None:
    closed = open_dir / "closed"
    closed.mkdir(mode=0o700)
    homes = []
    for _ in range(2):
        with Stores(closed / "stores") as stores:
            connect(stores).close()
            homes.append(stores.home)
    assert homes[0] == homes[1]
    assert homes[0].parent == Path("/var/lib")
    subprocess.run(["/bin/rm", "-r", homes[0]], check=True)
