"""The newest openai package of npm, unmodified, against a running gateway."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.call import NODE_CLIENT
from tests.browser.conftest import not_run
from tests.flows.conftest import Catalogue, catalogue, gateway, scripted, upstream
from tests.flows.house import new_caller
from tests.flows.processes import RunningGateway

__all__ = ["catalogue", "gateway", "scripted", "upstream"]
pytestmark = pytest.mark.time_limit_s(90)


def test_newest_npm_client_calls_streaming_and_not(
    committed: None, modules: Path, gateway: RunningGateway, catalogue: Catalogue
) -> None:
    node = shutil.which("node")
    if node is None:
        not_run("Node is not installed; on Debian: apt-get install nodejs")
    program = modules.parent / "call.mjs"
    program.write_text(NODE_CLIENT)
    caller = new_caller(gateway.port, catalogue.chat)
    asked = {"BASE_URL": gateway.base_url.removesuffix("/v1"), "MODEL": catalogue.chat.name}
    for key, is_ours in ((caller.text, True), (caller.text[:-2] + "xx", False)):
        ended = subprocess.run(
            [node, str(program)],
            env=os.environ | asked | {"KEY": key},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode == 0) == is_ours, ended.stderr
    assert "invalid_api_key" in ended.stderr or "401" in ended.stderr
