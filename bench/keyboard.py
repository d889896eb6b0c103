"""The core ways through the portal with nothing but a keyboard: Tab, Enter, Space and letters."""

from collections.abc import Callable
from typing import Any

from bench.browser import Watched

TABS_MAX = 120
DESCRIBE_FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const label = at.labels && at.labels.length ? at.labels[0].innerText : "";
  return {name: (at.getAttribute("aria-label") || label || at.innerText || at.value || "").trim(),
    shown: box.width > 0 && box.height > 0,
    // The parts of a date are stops of their own, which the browser marks inside the field.
    marked: style.outlineStyle !== "none" || style.boxShadow !== "none" || at.type === "date"};
}"""
Way = Callable[[Watched, dict[str, Any]], None]


class Lost(Exception):
    """Something cannot be reached or seen by keyboard; the text says what."""


def sign_in(tab: Watched, made: dict[str, Any]) -> None:
    """Sign in as the owner."""
    tab.go("/sign-in/")
    reach(tab, "E-mail address")
    tab.page.keyboard.type(made["owner"]["email"])
    reach(tab, "Password")
    tab.page.keyboard.type(made["owner"]["password"])
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Sign out").first.wait_for()


def skip_to_content(tab: Watched, made: dict[str, Any]) -> None:
    """The first stop of a page leads past its navigation."""
    sign_in(tab, made)
    tab.go("/models/")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    if tab.page.evaluate("document.activeElement.id") != "main":
        raise Lost("the first stop does not lead to the content")


def ask_for_access(tab: Watched, made: dict[str, Any]) -> None:
    """Find a model and ask for it."""
    sign_in(tab, made)
    follow(tab, "Models", "**/models/")
    tab.go(made["ask_path"])
    reach(tab, "What for?")
    tab.page.keyboard.type("We answer support mail.")
    follow(tab, "Ask for access", "**/requests/**")


def issue_and_revoke(tab: Watched, made: dict[str, Any]) -> None:
    """Issue a key, then revoke it."""
    sign_in(tab, made)
    tab.go("/keys/new/")
    reach(tab, "Name")
    tab.page.keyboard.type("By keyboard")
    reach(tab, "Issue the key")
    tab.page.keyboard.press("Enter")
    tab.page.locator(".secret code").first.wait_for()
    follow(tab, "I have kept it", "**/keys/*-*/")
    reach(tab, "Revoke")
    tab.page.keyboard.press("Enter")
    reach(tab, "Reason")
    tab.page.keyboard.type("It was for a trial.")
    reach(tab, "Revoke the key")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("Revoked on").first.wait_for()


WAYS: tuple[Way, ...] = (sign_in, skip_to_content, ask_for_access, issue_and_revoke)


def follow(tab: Watched, name: str, leads_to: str) -> None:
    """Reach something by its name, press Enter, and wait until the address is this."""
    reach(tab, name)
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(leads_to)


def reach(tab: Watched, name: str) -> None:
    """Press Tab until the focus is on what bears this name; every stop on the way has to be seen. Raises: Lost."""
    for _ in range(TABS_MAX):
        at = tab.page.evaluate(DESCRIBE_FOCUS)
        if at is not None:
            if not at["shown"] or not at["marked"]:
                raise Lost(f"the focus cannot be seen on “{at['name'][:60]}”")
            if at["name"].split("\n")[0].strip() == name:
                return
        tab.page.keyboard.press("Tab")
    raise Lost(f"“{name}” is not reached in {TABS_MAX} stops")
