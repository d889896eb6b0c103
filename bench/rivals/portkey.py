"""Portkey's open gateway, which checks no key: it hands on the one that it is given.

Its server library is held at a version that it works with: with the newest, each of its streams fails.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import Target, require_program
from bench.processes import start, wait_until_answering
from bench.proof import NotProven
from bench.rivals.environments import prepare_node
from bench.rivals.gateway import Place

NAME = "Portkey, no keys"
PROGRAM = "node_modules/@portkey-ai/gateway/build/start-server.js"


@contextmanager
def start_portkey(place: Place) -> Iterator[Target]:
    """The gateway, which is one process."""
    if place.workers > 1:
        raise NotProven("it is one process and has no setting for more.")
    node, environment = require_program("node", "nodejs"), prepare_node("portkey")
    folder, port = place.new_folder("portkey")
    command = [node, str(environment / PROGRAM), f"--port={port}", "--headless"]
    variables = os.environ | {"NODE_ENV": "production"}
    log = folder / "portkey.log"
    with start(command, log=log, core=place.core, environment=variables, folder=folder) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/", timeout_s=60)
        upstream = ("x-portkey-custom-host", f"http://127.0.0.1:{place.upstream}/v1")
        headers = (("x-portkey-provider", "openai"), upstream)
        yield place.target(NAME, port, process, headers=headers, checks_key=False)
