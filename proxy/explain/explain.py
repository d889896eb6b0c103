"""May it, and why or why not: the one function behind the page, the admin, the API and the command."""

from proxy.explain.answer import Explanation
from proxy.explain.decide import refusal_of
from proxy.explain.of_caller import rules_of_caller
from proxy.explain.of_limits import rules_of_limits
from proxy.explain.of_model import rules_of_model
from proxy.explain.situation import Situation


def explain(found: Situation) -> Explanation:
    """Say whether the call is let in, in the words of the gateway, and how each rule stands. It looks up nothing.

    What time decides is told for the moment asked about; what somebody switches by hand (a revocation, a role, a model's
    status) is told as it is now.
    """
    checked = [*rules_of_caller(found)]
    if found.asked.model:
        checked += [*rules_of_model(found), *rules_of_limits(found)]
    return Explanation(
        refusal=refusal_of(found),
        checked=tuple(checked),
        at=found.now,
        is_now=found.asked.at is None,
        model=found.asked.model,
        kind=found.kind,
    )
