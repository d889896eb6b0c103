"""`make run` with a keeper: a part that ends is started again, as systemd or Kubernetes would, and nothing else is done.

It is the quickstart's own supervisor, which otherwise ends everything as soon as one of its children dies.
"""

import argparse
import sys
from pathlib import Path

from portal.embedded.child import Child
from portal.embedded.errors import EmbeddedServerError
from portal.quickstart.stop_request import StopRequest, StopRequestedError
from portal.quickstart.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent


class Keeper(Supervisor):
    """Starts again whatever has ended, each by itself."""

    def watch(self) -> None:
        """Stay until a stop is asked for."""
        while True:
            self._keep_stores()
            for child in [child for child in self._parts._children if child.has_ended()]:  # noqa: SLF001
                self._restart(child)
            self._stop.sleep(0.1)

    def _keep_stores(self) -> None:
        stores = self._parts.stores
        assert stores is not None
        for server in (stores.valkey, stores.postgres):
            if server.child is not None and server.child.has_ended():
                print(f"{server.child.name} has ended", flush=True)
                server.child.stop()
                server.start()
                self._parts.note()

    def _restart(self, child: Child) -> None:
        print(f"The {child.name} has ended", flush=True)
        child.stop()
        self._parts._children.remove(child)  # noqa: SLF001
        {"server": self._start_server, "worker": self._start_worker}[child.name]()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.keeper")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    stop = StopRequest()
    try:
        with Keeper(
            root=ROOT, data_dir=ROOT / ".latchkey", port=arguments.port, stop=stop
        ) as keeper:
            keeper.start()
            keeper.watch()
    except StopRequestedError:
        return 0
    except EmbeddedServerError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
