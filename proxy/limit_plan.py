"""What a call spends from, made ready once: all that does not depend on the call itself."""

import msgspec

from proxy.leases.window import NEVER_ENDS_AT, Measure, Window

# The places of the measures among a call's amounts.
MEASURES = tuple(Measure)
_PLACES = {measure: place for place, measure in enumerate(MEASURES)}
_MONEY, _OUTPUT = _PLACES[Measure.MICRO_USD], _PLACES[Measure.OUTPUT_TOKENS]
# Integers of structured fields (RFC 9651) have at most 15 digits. What is larger is as good as no limit.
FIELD_MAX = 999_999_999_999_999
_UNITS = {
    Measure.INPUT_TOKENS: ';qu="input-tokens"',
    Measure.OUTPUT_TOKENS: ';qu="output-tokens"',
    Measure.TOKENS: ';qu="tokens"',
    Measure.MICRO_USD: ';qu="micro-usd"',
    Measure.CONCURRENT: ';qu="concurrent-requests"',
}
_DAY_S = 86_400
_LENGTHS = {1: "second", 60: "minute", 3_600: "hour", _DAY_S: "day"}


class Shown(msgspec.Struct, frozen=True, gc=False):
    """A window as replies tell of it. resets: by time alone."""

    window: Window
    resets: bool
    is_of_calls: bool
    is_of_tokens: bool


class Plan(msgspec.Struct, frozen=True):
    """The windows of a call.

    wants: each window with the place of its measure among the call's amounts. calls: the windows of calls, one each.
    spends_money, spends_output: whether any window counts these, of which some calls use nothing.
    shown: what replies tell of. policy: the field RateLimit-Policy, which says the same at every call. left: the field
        RateLimit, to be filled in with what is left of each and when it resets.
    """

    wants: tuple[tuple[Window, int], ...]
    places: tuple[int, ...]
    calls: tuple[tuple[Window, int], ...]
    spends_money: bool
    spends_output: bool
    shown: tuple[Shown, ...]
    policy: tuple[bytes, bytes]
    left: str

    def beside(self, more: "Plan") -> "Plan":
        """This plan with the windows of another, which replies do not tell of: what others use of a model is not told to everyone."""
        return msgspec.structs.replace(
            self,
            wants=self.wants + more.wants,
            places=self.places + more.places,
            calls=self.calls + more.calls,
            spends_money=self.spends_money or more.spends_money,
            spends_output=self.spends_output or more.spends_output,
        )


def plan_of(windows: tuple[Window, ...]) -> Plan:
    """Make everything ready that a call by these windows needs."""
    places = tuple(_PLACES[window.measure] for window in windows)
    told = [window for window in windows if not window.is_soft and window.limit <= FIELD_MAX]
    shown = tuple(_shown(window) for window in told)
    return Plan(
        wants=tuple(zip(windows, places, strict=True)),
        places=places,
        calls=tuple((window, 1) for window in windows if window.measure is Measure.REQUESTS),
        spends_money=_MONEY in places,
        spends_output=_OUTPUT in places,
        shown=shown,
        policy=(b"ratelimit-policy", ", ".join(_policy(window) for window in told).encode()),
        left=", ".join(_left(one) for one in shown),
    )


def policy_name(window: Window) -> str:
    """As team-micro_usd-calendar_month: what replies call the limit. It holds nobody's id."""
    return f"{subject_of(window)}-{window.measure}-{_period(window)}"


def subject_of(window: Window) -> str:
    """Of whom the limit is, as the windows' keys begin."""
    return window.key.partition(":")[0]


def _period(window: Window) -> str:
    if window.measure is Measure.CONCURRENT:
        return "at_once"
    if window.ends_at == NEVER_ENDS_AT:
        return "fixed_sum"
    if window.ends_at == 0:
        return _LENGTHS[window.length_s]
    # A calendar's day has up to 25 hours.
    if window.length_s < 2 * _DAY_S:
        return "calendar_day"
    return "calendar_week" if window.length_s < 9 * _DAY_S else "calendar_month"


def _shown(window: Window) -> Shown:
    return Shown(
        window,
        window.measure is not Measure.CONCURRENT and window.ends_at != NEVER_ENDS_AT,
        window.measure is Measure.REQUESTS,
        window.measure is Measure.TOKENS,
    )


def _policy(window: Window) -> str:
    """A member of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10)."""
    length = f";w={window.length_s}" if window.length_s else ""
    return f'"{policy_name(window)}";q={window.limit}{_UNITS.get(window.measure, "")}{length}'


def _left(shown: Shown) -> str:
    return f'"{policy_name(shown.window)}";r=%d' + (";t=%d" if shown.resets else "")
