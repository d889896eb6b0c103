"""What a caller reads when a limit is reached: which, of whom, how much is left, and when to come back."""

import datetime

from models_registry.limit_words import amount_text
from proxy.errors import Code, Refusal
from proxy.exchange import Headers
from proxy.leases.refusals import LimitReached
from proxy.leases.window import NEVER_ENDS_AT, Measure, Window
from proxy.limit_plan import policy_name, subject_of

# By how a window's key begins. Never anybody's id or name: the caller may know neither.
_WHOSE = {
    "key": "This API key",
    "client": "This OAuth client",
    "rule": "This rule of trust",
    "grant": "The grant of this model, with all who call by it,",
    "service_account": "This service account, by all its credentials,",
    "person": "This person, by all their credentials,",
    "member": "This person, by all their credentials of this team,",
    "team": "This team",
    "team_model": "This team, with its calls of this model,",
    "model": "This model, with everybody's calls,",
}
_LENGTHS = {1: "a second", 60: "a minute", 3_600: "an hour", 86_400: "in 24 hours"}
_PER_MINUTE = {Measure.REQUESTS: "calls_per_minute", Measure.TOKENS: "tokens_per_minute"}


def limit_refusal(reached: LimitReached, *, wanted: int, fields: Headers) -> Refusal:
    """The refusal in words. wanted: how much of the measure the call asked for; 0 where that is not to be told."""
    window = reached.window
    measure = window.measure
    is_of_calls = measure in (Measure.REQUESTS, Measure.CONCURRENT)
    need = (
        "" if is_of_calls or not wanted else f" This call may need up to {_left(wanted, measure)}."
    )
    return Refusal(
        Code.LIMIT_REACHED,
        param=_param(window),
        seen=(
            f"{bound_text(window, limit=reached.limit)}; {left_text(window, reached.remaining)}."
            f"{need}{_never(reached, wanted)}"
        ),
        retry_after_s=None if window.ends_at == NEVER_ENDS_AT else reached.retry_after_s,
        fields=fields,
    )


def bound_text(window: Window, *, limit: int) -> str:
    """As: This team may use 1,000 tokens a minute."""
    most = amount_text(limit, window.measure)
    return f"{_WHOSE.get(subject_of(window), 'This call')} may use {most} {_when(window)}"


def left_text(window: Window, remaining: int) -> str:
    """As: 200 are left now."""
    return f"{_left(remaining, window.measure) if remaining else '0'} are left now"


def _left(amount: int, measure: Measure) -> str:
    return amount_text(amount, measure) if measure is Measure.MICRO_USD else f"{amount:,}"


def _param(window: Window) -> str:
    is_minute = window.ends_at == 0 and window.length_s == 60
    return _PER_MINUTE.get(window.measure, "") * is_minute or policy_name(window)


def _when(window: Window) -> str:
    if window.measure is Measure.CONCURRENT:
        return "at once"
    if window.ends_at == NEVER_ENDS_AT:
        return "in all"
    if window.ends_at:
        end = datetime.datetime.fromtimestamp(window.ends_at, datetime.UTC)
        return f"until {end:%Y-%m-%dT%H:%M:%SZ}"
    return _LENGTHS.get(window.length_s, f"in {window.length_s} seconds")


def _never(reached: LimitReached, wanted: int) -> str:
    if wanted > reached.limit or (reached.retry_after_s is None and not reached.window.ends_at):
        return " It can never fit; ask for less output."
    if reached.window.ends_at == NEVER_ENDS_AT:
        return " This sum does not come back by itself; whoever set it can raise it."
    return ""
