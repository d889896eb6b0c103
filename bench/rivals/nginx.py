"""nginx as a plain proxy, and with auth_request in two forms, because they differ in cost.

The sub-request can be answered inside the same process, or travel to a server of its own that would know the keys.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from bench.fixed_upstream import write_configuration
from bench.load import Target, require_program
from bench.processes import Measured, find_free_port, start, wait_until_answering
from bench.rivals.gateway import AUTHORIZATION, Place

KNOWN = f'map $http_authorization $known {{ default 0; "{AUTHORIZATION}" 1; }}'
INSIDE = "if ($known = 0) { return 401; } return 204;"
KEEP = 'proxy_http_version 1.1; proxy_set_header Connection "";'
NO_BODY = "proxy_pass_request_body off; proxy_set_header Content-Length '';"
# A body that does not fit goes through a file, which would measure the disk.
IN_MEMORY = "client_body_buffer_size 256k;"


class Check(Enum):
    """How nginx checks a key."""

    NONE = "nginx, plain proxy"
    INSIDE = "nginx, auth_request inside"
    TRAVELS = "nginx, auth_request over HTTP"


@contextmanager
def start_nginx(place: Place, *, check: Check) -> Iterator[Target]:
    """Run nginx as a plain proxy, or with auth_request; a checker of its own has the load's core."""
    with ExitStack() as running:
        checker, beside = None, []
        if check is Check.TRAVELS:
            checker = find_free_port()
            content = f"{KNOWN} server {{ listen 127.0.0.1:{checker} backlog=4096; location / {{ {INSIDE} }} }}"
            apart = place._replace(core=place.load_core, workers=1)
            beside = [running.enter_context(_run_nginx(apart, content, port=checker))]
        port = find_free_port()
        content = _write_gateway(port=port, upstream=place.upstream, checker=checker, check=check)
        process = running.enter_context(_run_nginx(place, content, port=port))
        target = place.target(check.value, port, process, checks_key=check is not Check.NONE)
        yield target._replace(beside=tuple(beside))


def _write_gateway(*, port: int, upstream: int, checker: int | None, check: Check) -> str:
    asked = "" if check is Check.NONE else "auth_request /check;"
    answer = INSIDE if checker is None else f"proxy_pass http://checkers; {KEEP} {NO_BODY}"
    checkers = "" if checker is None else _write_pool("checkers", checker)
    return f"""{KNOWN} {checkers} {_write_pool("models", upstream)}
      server {{
        listen 127.0.0.1:{port} backlog=4096; {IN_MEMORY}
        location / {{ {asked} proxy_pass http://models; {KEEP} }}
        location = /check {{ internal; {answer} }}
      }}"""


def _write_pool(name: str, port: int) -> str:
    server = f"server 127.0.0.1:{port}; keepalive 256; keepalive_requests 100000000;"
    return f"upstream {name} {{ {server} }}"


@contextmanager
def _run_nginx(place: Place, content: str, *, port: int) -> Iterator[Measured]:
    folder: Path = place.folder / f"nginx-{port}"
    path = write_configuration(folder, content, workers=place.workers)
    command = [require_program("nginx", "nginx-light"), "-c", str(path)]
    with start(command, log=folder / "nginx.log", core=place.core) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/", timeout_s=10)
        yield process
