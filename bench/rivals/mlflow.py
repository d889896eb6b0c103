"""MLflow's gateway, which checks no key."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import Target
from bench.processes import start, wait_until_answering
from bench.rivals.environments import prepare_python
from bench.rivals.gateway import MODEL, Place

NAME = "MLflow gateway, no keys"


@contextmanager
def start_mlflow(place: Place) -> Iterator[Target]:
    """The gateway with as many workers as asked for."""
    environment = prepare_python("mlflow", "mlflow[gateway]")
    folder, port = place.new_folder("mlflow")
    configuration = {
        "openai_api_key": "unused",
        "openai_api_base": f"http://127.0.0.1:{place.upstream}/v1",
    }
    model = {"provider": "openai", "name": MODEL, "config": configuration}
    endpoint = {"name": MODEL, "endpoint_type": "llm/v1/chat", "model": model}
    path = folder / "mlflow.yaml"
    # JSON is YAML too.
    path.write_text(json.dumps({"endpoints": [endpoint]}))
    command = [str(environment / "bin" / "mlflow"), "gateway", "start", "--config-path", str(path)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(place.workers)]
    # It keeps a socket of its own under HOME, and looks for its programs on the path.
    programs = f"{environment / 'bin'}:{os.environ['PATH']}"
    variables = os.environ | {"HOME": str(folder), "PATH": programs}
    log = folder / "mlflow.log"
    with start(command, log=log, core=place.core, environment=variables, folder=folder) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/health", timeout_s=180)
        yield place.target(NAME, port, process, checks_key=False)
