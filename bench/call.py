"""From a fresh clone to the first answered call, with unmodified clients and an empty home."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.load import require_program
from bench.processes import find_free_port, start
from bench.proof import NotProven, Verdict
from bench.stack import TREE, wait_for_facts

NAME = "call"
PROMISE = "From clone to the first answered call in under two minutes, with unmodified clients."
MOST_S = 120.0
GIVE_UP_S = 600.0
CLIENT_TIMEOUT_S = 120.0

PYTHON_CLIENT = """
import os
from openai import OpenAI
client = OpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["KEY"], max_retries=0)
asked = {"model": os.environ["MODEL"], "messages": [{"role": "user", "content": "Hello"}]}
whole = client.chat.completions.create(**asked).choices[0].message.content
parts = client.chat.completions.create(**asked, stream=True)
joined = "".join(c.choices[0].delta.content or "" for c in parts if c.choices)
assert whole and whole == joined, (whole, joined)
print(whole)
"""
NODE_CLIENT = """
import OpenAI from "openai";
const client = new OpenAI(
  {baseURL: process.env.BASE_URL + "/v1", apiKey: process.env.KEY, maxRetries: 0});
const asked = {model: process.env.MODEL, messages: [{role: "user", content: "Hello"}]};
const whole = (await client.chat.completions.create(asked)).choices[0].message.content;
let joined = "";
for await (const c of await client.chat.completions.create({...asked, stream: true}))
  joined += c.choices[0]?.delta?.content ?? "";
if (!whole || whole !== joined) throw new Error(`${whole} is not ${joined}`);
console.log(whole);
"""


def run() -> Verdict:
    """Clone, `make run`, and call with the newest Python and npm clients, streaming and not."""
    with tempfile.TemporaryDirectory(prefix="latchkey-call-") as name:
        folder = Path(name)
        # As root, the servers run under another account, which has to get through to its files.
        folder.chmod(0o755)
        home = make_home(folder)
        clients = install_clients(folder, home)
        started = time.monotonic()
        clone = folder / "clone"
        run_command(["git", "clone", "--quiet", str(TREE), str(clone)], home)
        environment = home | {"PORT": str(find_free_port())}
        log = folder / "make-run.log"
        with start(["make", "run"], log=log, environment=environment, folder=clone) as portal:
            facts = wait_for_facts(clone, portal, timeout_s=GIVE_UP_S)
            seconds = None
            for label, command in clients.items():
                answer = run_command(command, home | _describe(facts))
                seconds = seconds or time.monotonic() - started
                print(f"{label}, streaming and not: {answer.strip()}")
    assert seconds is not None
    return Verdict(f"{seconds:.1f} s to the first answered calls", "< 120 s", seconds < MOST_S)


def make_home(folder: Path) -> dict[str, str]:
    """An environment with an empty home, and the package caches of the real one."""
    home = folder / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    cache = Path.home() / ".cache"
    caches = {"PIP_CACHE_DIR": cache / "pip", "UV_CACHE_DIR": cache / "uv"}
    return kept | {"HOME": str(home)} | {name: str(path) for name, path in caches.items()}


def install_clients(folder: Path, home: Mapping[str, str]) -> dict[str, list[str]]:
    """The newest clients, installed before the clock starts: they are the caller's, not ours."""
    python = folder / "python"
    run_command([sys.executable, "-m", "venv", str(python)], home)
    run_command([str(python / "bin" / "pip"), "install", "--quiet", "openai"], home)
    clients = {"openai for Python": [str(python / "bin" / "python"), "-c", PYTHON_CLIENT]}
    node = folder / "node"
    node.mkdir()
    (node / "call.mjs").write_text(NODE_CLIENT)
    if shutil.which("npm") is None:
        raise NotProven("npm is not installed; on Debian: apt-get install npm")
    run_command(["npm", "install", "--silent", "--prefix", str(node), "openai"], os.environ)
    clients["openai for Node"] = [require_program("node", "nodejs"), str(node / "call.mjs")]
    return clients


def run_command(command: list[str], environment: Mapping[str, str]) -> str:
    finished = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=CLIENT_TIMEOUT_S,
        check=False,
    )
    if finished.returncode:
        raise NotProven(f"{command[0]} failed: {finished.stderr[-1500:]}")
    return finished.stdout


def _describe(facts: Mapping[str, object]) -> dict[str, str]:
    models = facts["models"]
    assert isinstance(models, dict)
    base_url, key = str(facts["base_url"]), str(facts["api_key"])
    return {"BASE_URL": base_url, "KEY": key, "MODEL": str(models["chat"])}
