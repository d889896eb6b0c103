"""What is limited: one amount of one measure per length of time, and how it stands."""

import re
from enum import StrEnum

import msgspec

MAX_AMOUNT = 10**15
MAX_LENGTH_S = 400 * 86_400
# The end of what has none: in microseconds still a number that Lua's doubles hold exactly.
NEVER_ENDS_AT = 9_000_000_000
LEASE_LIFE_US = 2_000_000
_BUCKETS = 100
_SHORTEST_BUCKET_US = 50_000
_SLICED_FROM_S = 10
_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,160}", re.ASCII)
_NAME_PREFIX = "latchkey:lease:1:"


class Measure(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TOKENS = "tokens"
    MICRO_USD = "micro_usd"
    CONCURRENT = "concurrent"


class Window(msgspec.Struct, frozen=True):
    """At most `limit` of `measure`, counted under `key` with `length_s`.

    key: made of ids only, never of text that a user supplied; with the length it names the count.
    length_s: without an end, any stretch of so many seconds; with an end, how long the period is that
        ends then, 0 where its start is unknown; 0 for what is held now (concurrent).
    ends_at: Unix seconds at which the period ends, NEVER_ENDS_AT for a fixed sum; 0 for a sliding window.
        The key names the period, so that the next one is a new count.
    is_soft: counted, and never refused.
    has_past: something of the period may have been used before anybody counted; it is lent once the ledger's figure
        stands in it.
    name: made of key and length_s, whatever is given.
    """

    key: str
    limit: int
    length_s: int
    measure: Measure
    ends_at: int = 0
    is_soft: bool = False
    has_past: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not _KEY.fullmatch(self.key):
            raise ValueError("a window's key is 1 to 160 of A-Z a-z 0-9 _ . : -")
        require_amount(self.limit, name="limit")
        if not isinstance(self.measure, Measure):
            raise ValueError(f"measure is one of {', '.join(Measure)}")  # noqa: TRY004 - one error for junk.
        if type(self.ends_at) is not int or not 0 <= self.ends_at <= NEVER_ENDS_AT:
            raise ValueError(f"ends_at is a whole number from 0 to {NEVER_ENDS_AT}")
        shortest = 1 if self.is_sliding else 0
        if type(self.length_s) is not int or not shortest <= self.length_s <= MAX_LENGTH_S:
            raise ValueError(f"length_s is a whole number from {shortest} to {MAX_LENGTH_S}")
        if self.is_of_now and (self.length_s or self.ends_at):
            raise ValueError("a window of concurrent calls has neither length_s nor ends_at")
        # Made once, because every call looks its windows up by it.
        msgspec.structs.force_setattr(self, "name", f"{self.key}:{self.length_s}")

    @property
    def is_of_now(self) -> bool:
        """Whether it counts what is held at this moment, and nothing that is over."""
        return self.measure is Measure.CONCURRENT

    @property
    def is_sliding(self) -> bool:
        """Whether what was used leaves it little by little."""
        return self.ends_at == 0 and not self.is_of_now

    @property
    def store_name(self) -> str:
        """The name of the window's hash in the store."""
        return f"{_NAME_PREFIX}{{{self.key}}}:{self.length_s}"

    @property
    def bucket_us(self) -> int:
        """The length of one bucket: a hundredth, but 50 ms at least, and a divisor of the whole.

        What has no buckets is lent for a lease's life at a time.
        """
        if not self.is_sliding:
            return LEASE_LIFE_US
        return max(self.length_s * 1_000_000 // _BUCKETS, _SHORTEST_BUCKET_US)

    @property
    def buckets(self) -> int:
        """How many buckets make up the window; 0 where nothing slides."""
        if not self.is_sliding:
            return 0
        return self.length_s * 1_000_000 // self.bucket_us

    @property
    def is_sliced(self) -> bool:
        """False where the window is too short to lend more than each call needs."""
        return not self.is_sliding or self.length_s >= _SLICED_FROM_S


class Standing(msgspec.Struct, frozen=True):
    """How a window stands as far as this process knows.

    reset_s: seconds until the whole limit is free again if nothing more is called.
    """

    limit: int
    remaining: int
    reset_s: float


def require_amount(amount: object, *, name: str) -> None:
    """Let only whole numbers through that Lua's doubles and a sum of them hold exactly."""
    if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
        raise ValueError(f"{name} is a whole number from 0 to {MAX_AMOUNT}")
