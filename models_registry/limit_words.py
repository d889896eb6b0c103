"""Limits in words, for pages, mails and errors. Whose they are is said without anybody's id."""

from models_registry.models.limits import Limit, LimitMeasure, LimitPeriod, SubjectKind
from models_registry.templatetags.registry_facts import usd

_UNITS = {
    LimitMeasure.REQUESTS: "calls",
    LimitMeasure.INPUT_TOKENS: "input tokens",
    LimitMeasure.OUTPUT_TOKENS: "output tokens",
    LimitMeasure.TOKENS: "tokens",
    LimitMeasure.CONCURRENT: "calls",
}
_PERIODS = {
    LimitPeriod.SECOND: "a second",
    LimitPeriod.MINUTE: "a minute",
    LimitPeriod.HOUR: "an hour",
    LimitPeriod.DAY: "in 24 hours",
    LimitPeriod.CALENDAR_DAY: "a calendar day",
    LimitPeriod.CALENDAR_WEEK: "a calendar week",
    LimitPeriod.CALENDAR_MONTH: "a calendar month",
    LimitPeriod.FIXED_SUM: "in all",
    LimitPeriod.AT_ONCE: "at once",
}
_WHOSE = {
    SubjectKind.KEY: "the key",
    SubjectKind.SERVICE_ACCOUNT: "the service account",
    SubjectKind.PERSON: "the person, in all their teams,",
    SubjectKind.MEMBER: "the member",
    SubjectKind.TEAM: "the team",
    SubjectKind.MODEL: "the model, for everybody,",
    SubjectKind.TEAM_MODEL: "the team's use of the model",
}
# For whoever chooses in a form; what the limit will say is in the same words.
MEASURE_CHOICES = [
    (LimitMeasure.REQUESTS.value, "calls"),
    (LimitMeasure.INPUT_TOKENS.value, "input tokens"),
    (LimitMeasure.OUTPUT_TOKENS.value, "output tokens"),
    (LimitMeasure.TOKENS.value, "tokens, input and output"),
    (LimitMeasure.MICRO_USD.value, "money, in US dollars"),
    (LimitMeasure.CONCURRENT.value, "calls at once"),
]
PERIOD_CHOICES = [(period.value, words) for period, words in _PERIODS.items()]


def amount_text(amount: int, measure: str) -> str:
    """As 1,000 tokens, or $12.50: money exactly, with at least two decimals."""
    if measure == LimitMeasure.MICRO_USD:
        return usd(amount)
    return f"{amount:,} {_UNITS[LimitMeasure(measure)]}"


def limit_text(limit: Limit) -> str:
    """As 1,000 tokens a minute, or $50.00 a calendar month (Europe/Berlin)."""
    zone = f" ({limit.zone})" if limit.zone else ""
    return f"{amount_text(limit.amount, limit.measure)} {_PERIODS[LimitPeriod(limit.period)]}{zone}"


def whose(limit: Limit) -> str:
    """As "the team": fit to stand before "may use at most"."""
    return _WHOSE[limit.subject_kind]
