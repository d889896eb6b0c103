"""What a request asks of the demonstration, beyond an answer: `[[demo name=value …]]` in its text.

The table of names is in demo/README.md. The last directive in a text counts. An unknown name or a
value out of range is refused with 400, so that a test's typing error never passes as a success.
"""

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from demo.envelope import Refusal

PATTERN = re.compile(r"\[\[demo\s+([^\]]*)\]\]")
OPENING = "[[demo"

Seconds = Annotated[float, Meta(ge=0, le=3600)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Size = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Fault(StrEnum):
    """Every way in which the demonstration can misbehave."""

    CUT = "cut"
    CUT_HEAD = "cut_head"
    RESET = "reset"
    HANG = "hang"
    STALL = "stall"
    GARBAGE = "garbage"
    HUGE = "huge"
    HUGE_DECLARED = "huge_declared"
    SLOW_HEAD = "slow_head"
    REDIRECT = "redirect"
    GZIP = "gzip"
    HTML = "html"
    BAD_JSON = "bad_json"
    NO_USAGE = "no_usage"
    USAGE_NULL = "usage_null"
    NO_DONE = "no_done"
    ERROR_MID = "error_mid"
    ECHO_HEADERS = "echo_headers"
    LEAK_KEY = "leak_key"


class Directive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request's wishes; the default of each is ordinary behaviour."""

    delay_s: Seconds = 0.0
    first_byte_s: Seconds = 0.0
    chunk_delay_s: Seconds = 0.0
    chunks: Count = 0
    tokens: Count = 0
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    retry_after: Annotated[str, Meta(max_length=40)] = ""
    fault: Fault | None = None
    at_byte: Size | None = None
    size_bytes: Size = 100_000_000
    location: str = "/demo/redirected"
    usage_prompt: int | None = None
    usage_completion: int | None = None
    usage_cached: int | None = None
    usage_reasoning: int | None = None
    usage_audio_in: int | None = None
    usage_audio_out: int | None = None
    marker: Annotated[str, Meta(max_length=200)] = ""


ORDINARY = Directive()


def read_directive(text: str) -> Directive:
    """Read the last directive in a text; ordinary behaviour where there is none.

    Raises: Refusal (400) for a name or value that the table does not have.
    """
    if OPENING not in text:
        return ORDINARY
    found = PATTERN.findall(text)
    if not found:
        return ORDINARY
    members = dict(word.partition("=")[::2] for word in found[-1].split())
    try:
        return msgspec.convert(members, Directive, strict=False)
    except msgspec.ValidationError as error:
        message = f"The directive [[demo {found[-1]}]] was not understood: {error}."
        raise Refusal(400, message, code="bad_directive") from None


def strip_directives(text: str) -> str:
    """The text as a person wrote it, without what was meant for the demonstration."""
    return PATTERN.sub("", text).strip() if OPENING in text else text
