"""Debian's Chromium, driven through the pages as a person would, and everything that it complains of."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)
NPM_TIMEOUT_S = 120.0
NAVIGATION_TIMEOUT_MS = 15_000
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
# What WCAG 2.2 asks for on levels A and AA, as axe-core names it.
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
RUN_AXE = """rules => axe.run(document, {runOnly: rules, resultTypes: ["violations"]}).then(
  found => found.violations.map(one => `${one.id} (${one.help}): ` +
    one.nodes.slice(0, 5).map(node => node.target.join(" ")).join(", ")))"""


# Pages whose look is a library's: they have to run clean, and their colours are not ours to choose.
NOT_OUR_OWN = frozenset({"api-docs"})
# They answer 200, and are no pages.
NO_PAGES = frozenset(
    {
        "health-live",
        "health-ready",
        "usage-csv",
        "api-schema",
        "oauth-jwks",
        "oauth-resource-metadata",
        "oauth-resource-metadata-of",
        "oauth-server-metadata",
    }
)


class NoBrowser(Exception):
    """No browser is installed; the text says how to install one."""


class NoPackages(Exception):
    """npm could not install what was asked for."""


def find_browser() -> str:
    """Return the program of the browser: LATCHKEY_BROWSER, or Chromium on the path. Raises: NoBrowser."""
    named = os.environ.get("LATCHKEY_BROWSER")
    found = named if named and Path(named).exists() else shutil.which("chromium")
    if named and found != named:
        raise NoBrowser(f"LATCHKEY_BROWSER names {named}, which does not exist.")
    if found is None:
        raise NoBrowser("No browser is installed; on Debian: apt-get install chromium")
    return found


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Start the browser, and end it after the block. Raises: NoBrowser."""
    program = find_browser()
    # Chromium's sandbox does not start as root.
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else list(ARGUMENTS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A tab, and what went wrong in it since it was last asked."""

    page: Page
    base_url: str
    _faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(NAVIGATION_TIMEOUT_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._faults.append(f"script: {error}"))
        self.page.on("request", self._see)

    def go(self, path: str) -> int:
        """Open a page of the portal and wait for it to be loaded; return its status."""
        reply = self.page.goto(self.base_url + path, wait_until="load")
        return 0 if reply is None else reply.status

    def bring_session(self, cookie: str) -> None:
        """Be signed in with the session's cookie, without the form."""
        self.page.context.add_cookies(
            [{"name": "sessionid", "value": cookie, "url": self.base_url}]
        )

    def faults(self) -> list[str]:
        """Errors on the console (violations of the policy stand there too), of scripts, and requests to other hosts."""
        found, self._faults = self._faults, []
        return found

    def violations(self, axe: str, theme: Theme) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA on the page as it stands, in this theme."""
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        # Not as an element of the page, which its policy would rightly refuse.
        self.page.evaluate(axe)
        found = cast(list[str], self.page.evaluate(RUN_AXE, list(RULES)))
        return [f"{theme}: {one}" for one in found]

    def overflow_px(self) -> int:
        """By how much the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._faults.append(f"console: {message.text}")

    def _see(self, request: Request) -> None:
        parts = urlsplit(request.url)
        own = urlsplit(self.base_url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != own.netloc:
            self._faults.append(f"request to another host: {parts.scheme}://{parts.netloc}")


@contextmanager
def open_tab(
    browser: Browser, base_url: str, *, width: int = 1280, height: int = 900, **options: Any
) -> Iterator[Watched]:
    """A tab in a profile of its own, empty of cookies."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    try:
        yield Watched(context.new_page(), base_url)
    finally:
        context.close()


def install_packages(folder: Path, *names: str) -> Path:
    """Install the newest npm packages of these names into the folder; return their place. Raises: NoPackages."""
    npm = shutil.which("npm")
    if npm is None:
        raise NoPackages("npm is not installed; on Debian: apt-get install npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        subprocess.run(
            [*command, "--prefix", str(folder), *names],
            check=True,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        raise NoPackages(
            f"npm could not install {', '.join(names)}: {error.stderr[-800:]}"
        ) from None
    except subprocess.TimeoutExpired:
        raise NoPackages(f"npm took over {NPM_TIMEOUT_S:.0f} s for {', '.join(names)}.") from None
    return folder / "node_modules"


def read_axe(modules: Path) -> str:
    """The source of axe-core."""
    return (modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
