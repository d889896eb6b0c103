"""Takes docs/images/portal.png from a real `make run`: `python -m bench.picture`. Needs Chromium."""

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.browser import open_tab, start_browser
from bench.call import PYTHON_CLIENT
from bench.stack import TREE, Stack, start_stack
from bench.story import sign_in

PICTURE = TREE / "docs" / "images" / "portal.png"
MOST_BYTES = 200_000
CALLS = 12
EMBED = """
import os
from openai import OpenAI
client = OpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["KEY"])
client.embeddings.create(model="demo-embed", input=["One", "Two"])
"""


def main() -> int:
    """Make some calls, wait until they are counted, and take the picture."""
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-picture-") as name,
        start_browser() as browser,
        start_stack(Path(name)) as stack,
        open_tab(browser, str(stack.facts["base_url"]), height=800, color_scheme="light") as tab,
    ):
        _call(stack)
        member = stack.facts["member"]
        assert isinstance(member, dict)
        sign_in(tab, member)
        tab.go("/models/demo-chat/")
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        tab.page.screenshot(path=PICTURE)
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(TREE)}: {size:,} bytes")
    return 0 if size < MOST_BYTES else 1


def _call(stack: Stack) -> None:
    asked = {"BASE_URL": str(stack.facts["base_url"]), "KEY": stack.api_key}
    for program in [PYTHON_CLIENT] * CALLS + [EMBED]:
        environment = stack.environment | asked | {"MODEL": stack.chat_model}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())
