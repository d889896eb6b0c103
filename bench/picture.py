"""Takes docs/images/portal.png from a real demonstration: `python -m bench.picture`. Needs Chromium."""

import sys
import tempfile
from pathlib import Path

from bench.browser import open_tab, start_browser
from bench.stack import TREE, start_stack
from bench.story import sign_in

PICTURE = TREE / "docs" / "images" / "portal.png"
MOST_BYTES = 200_000


def main() -> int:
    """Sign in as the demonstration's member, and take the picture of a model's page."""
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-picture-") as name,
        start_browser() as browser,
        start_stack(Path(name)) as stack,
        open_tab(browser, str(stack.facts["base_url"]), height=800, color_scheme="light") as tab,
    ):
        member = stack.facts["member"]
        assert isinstance(member, dict)
        sign_in(tab, member)
        tab.go("/models/demo-chat/")
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        tab.page.screenshot(path=PICTURE)
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(TREE)}: {size:,} bytes")
    return 0 if size < MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
