"""How this process's gateway is, for health to ask without importing what a gateway is made of."""

from collections.abc import Callable

Report = Callable[[], dict[str, bool]]
_reports: list[Report] = []


def announce(report: Report) -> None:
    """A gateway has started; `report` says of each part whether calls can rest on it now."""
    _reports[:] = [report]


def withdraw() -> None:
    _reports.clear()


def readiness() -> dict[str, bool]:
    return _reports[0]() if _reports else {"gateway": False}
