"""What is limited: one amount per length of time, and how it stands."""

import re

import msgspec

MAX_AMOUNT = 10**15
MAX_LENGTH_S = 400 * 86_400
_BUCKETS = 100
_SHORTEST_BUCKET_US = 50_000
_SLICED_FROM_S = 10
_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,160}", re.ASCII)
_NAME_PREFIX = "latchkey:lease:1:"


class Window(msgspec.Struct, frozen=True):
    """At most `limit` in any stretch of `length_s` seconds, counted under `key`.

    key: made of ids only, never of text that a user supplied; with the length it names the count.
    """

    key: str
    limit: int
    length_s: int

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not _KEY.fullmatch(self.key):
            raise ValueError("a window's key is 1 to 160 of A-Z a-z 0-9 _ . : -")
        require_amount(self.limit, name="limit")
        if type(self.length_s) is not int or not 1 <= self.length_s <= MAX_LENGTH_S:
            raise ValueError(f"length_s is a whole number from 1 to {MAX_LENGTH_S}")

    @property
    def store_name(self) -> str:
        """The name of the window's hash in the store."""
        return f"{_NAME_PREFIX}{{{self.key}}}:{self.length_s}"

    @property
    def bucket_us(self) -> int:
        """The length of one bucket: a hundredth, but 50 ms at least, and a divisor of the whole."""
        return max(self.length_s * 1_000_000 // _BUCKETS, _SHORTEST_BUCKET_US)

    @property
    def buckets(self) -> int:
        """How many buckets make up the window."""
        return self.length_s * 1_000_000 // self.bucket_us

    @property
    def is_sliced(self) -> bool:
        """False where the window is too short to lend more than each call needs."""
        return self.length_s >= _SLICED_FROM_S


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
