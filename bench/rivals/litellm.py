"""LiteLLM's proxy with its master key, and what came of the try to give it a database."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import Target
from bench.processes import start, wait_until_answering
from bench.rivals.environments import prepare_python
from bench.rivals.gateway import KEY, MODEL, Place

NAME = "LiteLLM, no database"
ENGINE_TIMEOUT_S = 300
# Each of its processes imports for many seconds, on one core one after the other.
START_TIMEOUT_S = 300


def prepare_litellm() -> Path:
    """LiteLLM's environment, with the client of its database, which fetches its own engine when it is asked to."""
    return prepare_python("litellm", "litellm[proxy]", "prisma")


@contextmanager
def start_litellm(place: Place) -> Iterator[Target]:
    """LiteLLM's proxy without a database."""
    environment = prepare_litellm()
    folder, port = place.new_folder("litellm")
    parameters = {
        "model": f"openai/{MODEL}",
        "api_base": f"http://127.0.0.1:{place.upstream}/v1",
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
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", str(place.workers)]
    variables = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    log = folder / "litellm.log"
    with start(command, log=log, core=place.core, environment=variables, folder=folder) as process:
        url = f"http://127.0.0.1:{port}/health/liveliness"
        wait_until_answering(process, url, timeout_s=START_TIMEOUT_S)
        yield place.target(NAME, port, process)


def try_database_engine() -> str | None:
    """Try to make LiteLLM's database client; return why it cannot be made, or None where it can.

    Its keys and budgets need PostgreSQL through an engine that is in no package: the client fetches it from its
    maker's server.
    """
    environment = prepare_litellm()
    said = environment / "database-engine"
    if not said.exists():
        said.write_text(_generate(environment))
    return said.read_text() or None


def _generate(environment: Path) -> str:
    schema = next(environment.glob("lib/python*/site-packages/litellm/proxy/schema.prisma"))
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    variables = os.environ | {"PATH": path, "HOME": str(environment)}
    command = [str(environment / "bin" / "prisma"), "generate", f"--schema={schema}"]
    try:
        ended = subprocess.run(
            command,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=ENGINE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"its engine did not come within {ENGINE_TIMEOUT_S} s"
    if not ended.returncode:
        return ""
    return "its engine, which its client fetches from its maker's server, could not be had"
