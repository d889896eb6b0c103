"""`python -m demo.upstream`: start the demonstration upstream and say on which port it listens."""

import argparse
import asyncio
import json
import os
import resource
import signal

import uvloop

from demo.application import Application
from demo.server import Connection

BACKLOG = 4_096


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    return parser.parse_args()


def _raise_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(host: str, port: int, key: str | None) -> None:
    """Listen until SIGTERM or SIGINT; the first line printed is {"port": N}."""
    application = Application(key)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: Connection(application), host, port, backlog=BACKLOG)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stopped.wait()
    server.close()


def main() -> None:
    """Read the arguments and DEMO_UPSTREAM_KEY, then serve."""
    arguments = _read_arguments()
    _raise_open_files()
    key = os.environ.get("DEMO_UPSTREAM_KEY") or None
    uvloop.run(serve(arguments.host, arguments.port, key))


if __name__ == "__main__":
    main()
