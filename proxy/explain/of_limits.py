"""The rules of limits: whether each window has room for the model's example call, as the store counts it now."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from proxy.explain.answer import Checked, Rule, State
from proxy.explain.decide import first_without_room
from proxy.explain.situation import Situation
from proxy.leases.standings import Standing
from proxy.leases.window import Window
from proxy.limit import demand_of
from proxy.limit_texts import bound_text, left_text


def rules_of_limits(found: Situation) -> Iterator[Checked]:
    """Say how each limit stands that the call would spend from; the one that refuses it comes first."""
    if found.route is None or found.granted is None or found.call is None:
        return
    plan = found.granted.plan.beside(found.route.plan)
    everybodys = {window.name for window in found.route.windows}
    wants = demand_of(plan, found.call, found.route).wants
    reached = first_without_room(wants, found.standings or {})
    first = None if reached is None else reached.window
    for window, amount in sorted(wants, key=lambda want: want[0] != first):
        standing = None if found.standings is None else found.standings[window.name]
        yield _limit(window, amount, standing, is_everybodys=window.name in everybodys)


def _limit(
    window: Window, amount: int, standing: Standing | None, *, is_everybodys: bool
) -> Checked:
    bound = bound_text(window, limit=window.limit)
    if window.is_soft:
        return Checked(Rule.LIMIT, State.HELD, _("%(bound)s; it warns alone.") % {"bound": bound})
    known = {} if standing is None else {window.name: standing}
    if first_without_room([(window, amount)], known) is not None:
        left = left_text(window, 0 if standing is None else max(0, standing.remaining))
        return Checked(
            Rule.LIMIT,
            State.NOT_HELD,
            f"{bound}; {left}.",
            _("Wait until there is room again, send a smaller call, or have the limit raised."),
        )
    if standing is None:
        text = _("%(bound)s. How much is left then is not known.") % {"bound": bound}
        return Checked(Rule.LIMIT, State.NOT_ASKED, text)
    if is_everybodys:
        # What others use of a model is not told to everyone.
        return Checked(Rule.LIMIT, State.HELD, _("%(bound)s, and has room.") % {"bound": bound})
    return Checked(Rule.LIMIT, State.HELD, f"{bound}; {left_text(window, standing.remaining)}.")
