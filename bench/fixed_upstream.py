"""An upstream that is never the bottleneck: nginx answering every call with one fixed reply."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.load import require_program
from bench.processes import Measured, find_free_port, start, wait_until_answering

REPLY = {
    "id": "chatcmpl-demonstration-fixed",
    "object": "chat.completion",
    "created": 1_750_000_000,
    "model": "demo-chat",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "This is the fixed reply of a measurement, no model.",
                "refusal": None,
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 12, "total_tokens": 132},
}

CONFIGURATION = """
daemon off; master_process {master}; worker_processes {workers}; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {content}
}}
"""


def write_configuration(folder: Path, content: str, *, workers: int = 1) -> Path:
    """An nginx configuration that keeps everything it writes in a folder; one worker needs no master."""
    folder.mkdir(parents=True)
    path = folder / "nginx.conf"
    master = "off" if workers == 1 else "on"
    path.write_text(
        CONFIGURATION.format(folder=folder, content=content, workers=workers, master=master)
    )
    return path


class Upstream(NamedTuple):
    """A running upstream."""

    port: int
    process: Measured


@contextmanager
def start_fixed_upstream(folder: Path, *, core: int | None) -> Iterator[Upstream]:
    """Run it on a core."""
    port = find_free_port()
    server = (
        f"listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{json.dumps(REPLY)}'; }}"
    )
    path = write_configuration(folder / "fixed", f"server {{ {server} }}")
    command = [require_program("nginx", "nginx-light"), "-c", str(path)]
    with start(command, log=folder / "fixed.log", core=core) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/v1/models", timeout_s=10)
        yield Upstream(port, process)
