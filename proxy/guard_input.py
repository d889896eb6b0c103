"""Step 5: what is asked. Every registered guard sees the call before it leaves; the first that objects ends it."""

from proxy.call import CallKind
from proxy.exchange import ParsedCall
from proxy.guardrails.registry import INPUT_GUARDS
from proxy.route import Route


def guard_input(kind: CallKind, call: ParsedCall, route: Route) -> None:
    """Let the call pass. Raises: Refusal by the guard that objects."""
    for guard in INPUT_GUARDS:
        guard(kind, call, route)
