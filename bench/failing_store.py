"""A limits store at one address that is lost with its data, or replaced by a replica that misses its latest writes."""

import tempfile
import time
from pathlib import Path

from bench.processes import find_free_port
from bench.proof import NotProven
from proxy.leases.request import STATE_KEY
from tests.proxy.leases.server import StoreServer

_FOLLOWS_WITHIN_S = 10.0


class FailingStore:
    """Whoever is the store now, behind a name that always leads to it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="latchkey-store-")
        self._name = Path(self._folder.name) / "s"
        self.url = f"unix://{self._name}"
        self._replica: StoreServer | None = None
        self._server = self._start_anew()

    def follow(self) -> None:
        """Have a replica copy all that there is, and every write from now on."""
        self._replica = StoreServer(port=find_free_port())
        self._replica.start()
        with self._replica.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", self._port)
            deadline = time.monotonic() + _FOLLOWS_WITHIN_S
            while client.info("replication")["master_link_status"] != "up":
                if time.monotonic() > deadline:
                    raise NotProven("the replica did not follow within 10 s.")
                time.sleep(0.05)

    def cut_off_replica(self) -> None:
        """Let the replica hear of no further write."""
        assert self._replica is not None
        with self._replica.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    def kill(self) -> None:
        """End the store as a loss of power would."""
        if self._replica is not None and self._heard(self._replica) >= self._heard(self._server):
            raise NotProven("the replica missed no write.")
        self._server.kill()

    def come_back(self) -> None:
        """Start it empty, or put the replica in its place where there is one."""
        self._server.remove()
        if self._replica is None:
            self._server = self._start_anew()
        else:
            self._server, self._replica = self._replica, None
            self._lead_to(self._server)

    def remove(self) -> None:
        """End everything and leave nothing behind."""
        for server in filter(None, (self._server, self._replica)):
            server.remove()
        self._folder.cleanup()

    def _start_anew(self) -> StoreServer:
        server = StoreServer(port=find_free_port())
        server.start()
        self._lead_to(server)
        return server

    @property
    def _port(self) -> int:
        with self._server.client() as client:
            return int(client.config_get("port")["port"])

    def _lead_to(self, server: StoreServer) -> None:
        self._name.unlink(missing_ok=True)
        self._name.symlink_to(server.folder / "s")

    @staticmethod
    def _heard(server: StoreServer) -> int:
        """When the server was last called, by what stands in it."""
        with server.client() as client:
            return int(client.hget(STATE_KEY, "raw_us") or 0)
