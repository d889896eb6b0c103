"""The frozen values that the steps of one call hand on, and nothing else: a step reads what stands before it and adds its own.

Head → ParsedCall → Principal (proxy/principal.py) → Route → Allowance → Answer → Usage
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from proxy.call import CallKind
from proxy.leases.held import Held

if TYPE_CHECKING:
    from proxy.route import Price


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a request's first lines say, read once and checked for form.

    peer: the true peer's address, "" when it cannot be known.
    call_id: UUIDv7 as 16 bytes. request_id: the same as text, sent back to the caller.
    started_ns: time.perf_counter_ns() at the request's arrival.
    """

    kind: CallKind
    credential: str
    peer: str
    call_id: bytes
    request_id: str
    started_ns: int
    model_in_path: str = ""


class ParsedCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The body, decoded one level deep, with the members the gateway itself decides on.

    output_cap: tokens the caller asked for at most, per choice, or None.
    reaches_out: some member can pull in content that the body's size says nothing of.
    counted_bytes: bytes of the body that can become prompt tokens.
    inputs: how many inputs the context window holds for, one by one (1 for a chat).
    """

    model: str
    members: dict[str, msgspec.Raw]
    stream: bool = False
    wants_usage: bool = False
    output_cap: int | None = None
    choices: int = 1
    counted_bytes: int = 0
    counts_tokens_itself: bool = False
    reaches_out: bool = False
    inputs: int = 1


class WorstCase(msgspec.Struct, frozen=True, gc=False):
    """Upper bounds, in tokens, that hold whatever the upstream does within its cap."""

    prompt_tokens: int
    output_cap: int
    output_tokens: int

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.output_tokens


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What was taken out of the windows for this call, to be settled once it is known what was used.

    places: of each part held, the place of its measure among the amounts; see proxy/limit_plan.py.
    price: that the money is reckoned at; None where no window counts money.
    """

    held: Held
    worst: WorstCase
    places: tuple[int, ...] = ()
    price: "Price | None" = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens used. Input includes cached and audio, output includes reasoning and audio, as upstreams count them.

    No two parts overlap: together they are at most their whole.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens


Headers = list[tuple[bytes, bytes]]
RawHeaders = Sequence[tuple[bytes, bytes]]


class Sink(Protocol):
    """Where an answer goes: a door's half of the conversation.

    writing_since_ns: time.perf_counter_ns() when the write under way began, 0 where none is.
    """

    writing_since_ns: int

    def on_hang_up(self, tell: Callable[[], None]) -> None:
        """Call `tell` once if the caller hangs up before the answer is finished."""

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer whose body is there, with its length, and end it."""

    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer that comes in pieces."""

    async def write(self, chunk: bytes) -> None: ...

    async def finish(self, last: bytes = b"") -> None:
        """Send the last bytes and end the answer."""


class Request(Sink, Protocol):
    """A request as a server hands it on: what was asked, and where the answer goes.

    headers: in their order, names in lower case. connection: the address that the connection comes from.
    is_started: whether some of the answer was sent.
    """

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> bytes: ...
    @property
    def headers(self) -> RawHeaders: ...
    @property
    def connection(self) -> str: ...
    @property
    def is_started(self) -> bool: ...

    async def read_body(self, *, max_bytes: int, take: Callable[[int], None]) -> bytes | None:
        """Return the body, or None as soon as it is larger. Raises: Refusal client_gone.

        take: hears of each piece but the last, and refuses what it has no room for.
        """


Answer = Callable[[Request], Awaitable[None]]
