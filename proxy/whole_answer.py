"""Reads an answer that came whole: its usage, and whether it may pass. A large one is read in slices.

An upstream may send 32 MiB in any shape, and all callers share the time that reading it takes. So nothing is made of an
answer before it is known to be of few enough parts, and what can be long, its texts, is looked into piece by piece.
"""

import codecs
import re
import time
from collections.abc import Iterator

import msgspec
from msgspec import UnsetType

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall
from proxy.forward import refusal_for
from proxy.guard_output import check_head, refusal_for_status, refuse_secret
from proxy.json_object import decode_members, encode_object, raw
from proxy.json_outline import SLICE_BYTES, count_shallow
from proxy.route import Route
from proxy.running_call import RunningCall
from proxy.secret_watch import SecretWatch
from proxy.turns import Slices, at_once, in_turns
from proxy.upstreams.answer import UpstreamAnswer
from proxy.upstreams.failures import UpstreamFailure
from proxy.upstreams.openai_chat import ReportedUsage, Said, decode_chunk, text_bytes
from proxy.upstreams.openai_embeddings import decode_answer

NONSENSE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
# Members, objects and lists down to what a choice says. Log-probabilities, which are many, stand deeper.
PARTS_MAX = 65_536
_DEEPEST_MADE = 4
# Values at all depths. Passing over one takes some nanoseconds, and all are passed over at once.
VALUES_MAX = 7_000_000
# No model says so much in calls of tools, which are looked into at once.
TOOL_CALLS_BYTES_MAX = 4 * 1024 * 1024
# What looking at one more thing costs, as the bytes that could be looked into meanwhile.
_LOOK_BYTES = 1024
# A JSON text up to where nothing is cut in two: no escape, and no pair of escapes that stands for one character.
_UNCUT = re.compile(
    rb"(?:[^\\]++|\\u[dD][89abAB]..\\u....|\\u(?![dD][89abAB])....|\\[^u])*+", re.DOTALL
)


async def take_whole(
    running: RunningCall, call: ParsedCall, route: Route, answer: UpstreamAnswer
) -> bytes:
    """Read the whole answer and return it under the model's public name. Raises: Refusal."""
    try:
        body = await answer.read()
    except UpstreamFailure as failure:
        raise refusal_for(failure) from None
    running.answered_ns = time.perf_counter_ns()
    running.answer_bytes = len(body)
    if answer.status != 200:
        raise refusal_for_status(answer, body, route)
    check_head(answer, call)
    slices = read_slices(running, body, route)
    return at_once(slices) if len(body) <= SLICE_BYTES else await in_turns(slices)


def read_slices(running: RunningCall, body: bytes, route: Route) -> Slices[bytes]:
    """Note the usage of an answer and return the answer as the caller gets it. Raises: Refusal upstream_nonsense."""
    is_large = len(body) > SLICE_BYTES
    try:
        yield from _refuse_at_sight(body, route.secret)
        if is_large:
            yield from _refuse_crowd(body)
        if running.head.kind is CallKind.EMBEDDINGS:
            reported = decode_answer(body).usage
        else:
            reported = yield from _read_chat(running, body, route.secret, is_large=is_large)
        if isinstance(reported, ReportedUsage):
            running.usage = reported.to_usage()
        if route.upstream_name == route.name:
            return body
        if is_large:
            yield
        members = decode_members(body)
    except NONSENSE:
        raise Refusal(
            Code.UPSTREAM_NONSENSE, detail="the answer is not the JSON expected"
        ) from None
    if is_large:
        yield
    if "model" in members:
        members["model"] = raw(route.name)
    return encode_object(members)


def _refuse_at_sight(body: bytes, secret: bytes) -> Slices[None]:
    """Let bytes pass that are UTF-8, as members are not looked into, and that do not hold the credential whole."""
    decode = None if body.isascii() else codecs.getincrementaldecoder("utf-8")().decode
    for start in range(0, len(body), SLICE_BYTES):
        end = start + SLICE_BYTES
        refuse_secret(body[start : end + len(secret)], secret)
        if decode is not None:
            decode(body[start:end], final=end >= len(body))
        if end < len(body):
            yield


def _refuse_crowd(body: bytes) -> Slices[None]:
    """Let an answer pass of which few enough parts would be made, whatever it holds below them."""
    parts = values = 0
    for start in range(0, len(body), SLICE_BYTES):
        end = start + SLICE_BYTES
        parts += sum(body.count(sign, start, end) for sign in (b":", b"{", b"["))
        values += body.count(b",", start, end)
        if values > VALUES_MAX:
            raise Refusal(Code.UPSTREAM_NONSENSE, detail="the answer has too many values")
        yield
    if parts > PARTS_MAX:
        yield from count_shallow(body, deepest=_DEEPEST_MADE, most=PARTS_MAX)


def _read_chat(
    running: RunningCall, body: bytes, secret: bytes, *, is_large: bool
) -> Slices[ReportedUsage | UnsetType | None]:
    """Return what the answer says of its usage, once nothing it says repeats the credential."""
    answer, watch = decode_chunk(body), SecretWatch(secret)
    if is_large:
        yield
    is_silent = not isinstance(answer.usage, ReportedUsage)
    if is_silent:
        running.output_events = len(answer.choices)
        running.output_bytes = 0
    if not (is_silent or is_large or watch.may_stand_in(body)):
        return answer.usage
    looked_at = 0
    for choice in answer.choices:
        message = choice.message or {}
        for said in _in_pieces(message) if is_large else (message,):
            watch.see(choice.index, said)
            if is_silent:
                running.output_bytes += text_bytes(said)
            looked_at += _LOOK_BYTES + sum(len(memoryview(value)) for value in said.values())
            if is_large and looked_at >= SLICE_BYTES:
                looked_at = 0
                yield
    return answer.usage


def _in_pieces(said: Said) -> Iterator[Said]:
    """What a message says as the deltas of a stream would say it: long texts one piece after the other."""
    long = [name for name, value in said.items() if len(memoryview(value)) > SLICE_BYTES]
    # Of reasoning that is said twice one counts; so the pieces of either tell that the other is there.
    mark = {"reasoning": raw("")} if "reasoning" in said else {}
    yield mark | {name: value for name, value in said.items() if name not in long}
    for name in long:
        data = bytes(said[name])
        if name == "tool_calls" and len(data) > TOOL_CALLS_BYTES_MAX:
            raise Refusal(Code.UPSTREAM_NONSENSE, detail="the answer says too much at once")
        if not data.startswith(b'"'):
            yield mark | {name: said[name]}
            continue
        for piece in text_pieces(data):
            yield mark | {name: piece}


def text_pieces(text: bytes, *, piece_bytes: int = SLICE_BYTES) -> Iterator[msgspec.Raw]:
    """Cut a JSON text into JSON texts that say the same one after the other."""
    start, last = 1, len(text) - 1
    while start < last:
        end = min(start + piece_bytes, last)
        found = _UNCUT.match(text, start, end)
        end = start if found is None else found.end()
        # A character of several bytes begins with one that is no continuation.
        while end < last and text[end] & 0xC0 == 0x80 and end > start:
            end -= 1
        if end <= start:
            end = last
        yield msgspec.Raw(b'"%b"' % text[start:end])
        start = end
