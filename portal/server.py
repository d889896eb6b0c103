"""The gateway's server, with the options that it was measured and tested with: `python -m portal.server --port 8000`."""

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn

APPLICATION = "portal.asgi:application"
# Longer than what reverse proxies keep idle connections for (nginx: 60 s), so that none is closed as it is used.
KEEP_ALIVE_S = 75


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    options = _read(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Told to stop, uvicorn stops in order and then raises the signal again, which would look like a death by it.
        signal.signal(number, _end)
    if options.workers > 1:
        # A worker that refuses to boot would be started again and again.
        importlib.import_module("portal.asgi")
    uvicorn.run(
        options.application,
        host=options.host,
        port=options.port,
        workers=options.workers,
        backlog=options.backlog,
        loop="uvloop",
        http="portal.http_connection:HttpConnection",
        ws="none",
        lifespan="on",
        interface="asgi3",
        # Whose address a forwarded one is decides LATCHKEY_TRUSTED_HOPS alone.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=options.stop_timeout,
    )


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m portal.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes; one for each core")
    parser.add_argument("--backlog", type=int, default=4096, help="connections that may wait")
    parser.add_argument(
        "--stop-timeout",
        type=int,
        default=45,
        metavar="SECONDS",
        help="how long a worker that is stopping may take before its connections are cut",
    )
    parser.add_argument("application", nargs="?", default=APPLICATION, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
