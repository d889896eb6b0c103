"""Step 7: what came back. Only an answer of the right form passes, and nothing of ours or the upstream's that is secret."""

import msgspec

from portal.lib.redaction import redact
from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall
from proxy.route import Route
from proxy.upstreams.answer import UpstreamAnswer

ERROR_BYTES_MAX = 64 * 1024
_SHOWN_CHARACTERS = 400
_RETRY_AFTER_MAX_S = 120
_SECRET_PIECE = 8
_REJECTED = frozenset({400, 404, 409, 413, 422})
_BUSY = frozenset({429, 503})
_UNWELCOME = frozenset({401, 403, 407})


class _Error(msgspec.Struct):
    message: str = ""


class _Envelope(msgspec.Struct):
    error: _Error | str = ""
    message: str = ""
    detail: str = ""


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def check_head(answer: UpstreamAnswer, call: ParsedCall) -> None:
    """Let a successful answer of the expected media type pass. Raises: Refusal."""
    if answer.status != 200:
        raise Refusal(Code.UPSTREAM_ERROR, detail=f"status {answer.status}")
    expected = b"text/event-stream" if call.stream else b"application/json"
    found = header(answer, b"content-type")
    if found != expected and found.partition(b";")[0].strip().lower() != expected:
        raise Refusal(Code.UPSTREAM_NONSENSE, detail="the media type is not the expected one")


def refusal_for_status(answer: UpstreamAnswer, body: bytes, route: Route) -> Refusal:
    """Turn an upstream's refusal into ours. Its words pass only where they can help the caller, and only clean."""
    if answer.status in _REJECTED:
        said = _clean(_message(body), secret=route.credential)
        return Refusal(Code.UPSTREAM_REJECTED, seen=said, detail=f"status {answer.status}")
    if answer.status in _BUSY:
        wait_s = header(answer, b"retry-after")
        return Refusal(
            Code.UPSTREAM_BUSY,
            retry_after_s=_bounded_wait_s(wait_s),
            detail=f"status {answer.status}",
        )
    code = Code.UPSTREAM_REFUSED if answer.status in _UNWELCOME else Code.UPSTREAM_ERROR
    return Refusal(code, detail=f"status {answer.status}")


def refuse_secret(data: bytes, secret: bytes) -> None:
    """Let bytes pass that do not hold the provider's credential. Raises: Refusal; an upstream can echo what it was sent."""
    if secret and secret in data:
        raise Refusal(Code.UPSTREAM_NONSENSE, detail="the answer repeats the provider's credential")


def header(answer: UpstreamAnswer, name: bytes) -> bytes:
    """Return the header's first value, b"" without one."""
    for found, value in answer.headers:
        if found == name:
            return value
    return b""


def contains_secret(text: str, secret: str) -> bool:
    """Whether any stretch of the secret stands in the text, so that a shortened one is noticed too."""
    size = min(_SECRET_PIECE, len(secret))
    pieces = {secret[at : at + size] for at in range(len(secret) - size + 1)} - {""}
    return any(text[at : at + size] in pieces for at in range(len(text) - size + 1))


def _bounded_wait_s(value: bytes) -> int:
    """Seconds of a Retry-After that is a number, up to a bound; a date asks for one. Thousands of digits are not read."""
    if not value.isdigit():
        return 1
    return min(int(value), _RETRY_AFTER_MAX_S) if len(value) <= 6 else _RETRY_AFTER_MAX_S


def _message(body: bytes) -> str:
    if len(body) > ERROR_BYTES_MAX:
        return ""
    try:
        envelope = _decode_envelope(body)
    except (msgspec.MsgspecError, RecursionError):
        return ""
    inner = envelope.error if isinstance(envelope.error, str) else envelope.error.message
    return inner or envelope.message or envelope.detail


def _clean(text: str, *, secret: str) -> str:
    beginning = text[: 4 * _SHOWN_CHARACTERS]
    if contains_secret(beginning, secret):
        return ""
    printable = "".join(c if c.isprintable() else " " for c in beginning)
    return redact(printable)[:_SHOWN_CHARACTERS]
