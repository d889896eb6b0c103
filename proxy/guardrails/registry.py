from collections.abc import Callable

from proxy.call import CallKind
from proxy.exchange import ParsedCall
from proxy.guardrails.accepted_members import check_members
from proxy.route import Route

InputGuard = Callable[[CallKind, ParsedCall, Route], None]
INPUT_GUARDS: tuple[InputGuard, ...] = (check_members,)
