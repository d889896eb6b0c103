"""The part of `answers` that needs Django: reads answers as hard to read as their shape can make them, and prints JSON."""

import asyncio
import json
import time

import django

django.setup()

from proxy.call import CallKind  # noqa: E402 - Django has to be set up first.
from proxy.errors import Refusal  # noqa: E402
from proxy.running_call import RunningCall  # noqa: E402
from proxy.whole_answer import read_slices  # noqa: E402
from tests.proxy.principals import a_head, a_principal, a_route  # noqa: E402

TRIES = 3
ANSWER_BYTES = 32 * 1024 * 1024
ROUTE = a_route(credential="sk-upstream-Qm4Zt8Wc2Vb6Nx1K")
MESSAGE = b'{"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
TEXT = MESSAGE + b'"content":"'


def fill(start: bytes, unit: bytes, end: bytes) -> bytes:
    """As often the unit as fits."""
    return start + unit * ((ANSWER_BYTES - len(start) - len(end)) // len(unit)) + end


CHATS = {
    "plain text": (TEXT, b"abcd ", b'"}}]}'),
    "text of every width": (TEXT, "aé研😀".encode(), b'"}}]}'),
    "escaped line ends": (TEXT, b"\\n", b'"}}]}'),
    "escaped quotes": (TEXT, b'\\"', b'"}}]}'),
    "escaped characters": (TEXT, b"\\ud83d\\ude00", b'"}}]}'),
    "outline in a text": (TEXT, b'\\":[{', b'"}}]}'),
    "beginnings of the credential": (TEXT, b"sk-upstream-Qm4 ", b'"}}]}'),
    "choices": (b'{"choices":[', b"{},", b"{}]}"),
    "members": (b'{"choices":[],', b'"a":1,', b'"a":1}'),
    "members of a message": (MESSAGE, b'"a":1,', b'"a":1}}]}'),
    "texts of a message": (MESSAGE + b'"content":[', b'"",', b'""]}}]}'),
    "calls of tools": (MESSAGE + b'"tool_calls":[', b"{},", b"{}]}}]}"),
    "log-probabilities": (
        b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[',
        b'{"token":"a","logprob":-0.12,"bytes":[97]},',
        b"1]}}]}",
    ),
    "towers": (b'{"choices":[],"x":[', b"[" * 60 + b"]" * 60 + b",", b"1]}"),
    "very deep": (b'{"choices":[],"x":', b"[", b""),
    "spaces": (b'{"choices":[],"x":[', b" ", b"1]}"),
}
EMBEDDINGS = {
    "vectors": (b'{"data":[{"embedding":[', b"-0.0123456789,", b'1]}],"usage":null}'),
    "numbers": (b'{"data":[', b"1,", b"1]}"),
    "objects": (b'{"data":[', b"{},", b"{}]}"),
}


def main() -> None:
    """Read each shape some times, slice by slice, and keep the quickest try: CPU time of this thread."""
    rows = []
    for kind, shapes in ((CallKind.CHAT, CHATS), (CallKind.EMBEDDINGS, EMBEDDINGS)):
        for name, shape in shapes.items():
            body = fill(*shape)
            tries = [asyncio.run(slices_s(kind, body)) for _ in range(TRIES)]
            at_once = min(max(times) for times, _ in tries)
            in_all = min(sum(times) for times, _ in tries)
            times, outcome = tries[0]
            rows.append((at_once, f"{kind.value}: {name}", in_all, len(times), outcome))
    print(json.dumps(rows))


async def slices_s(kind: CallKind, body: bytes) -> tuple[list[float], str]:
    """Seconds of this thread for each slice of reading an answer, and what came of it."""
    slices = read_slices(RunningCall(a_head(kind=kind), a_principal()), body, ROUTE)
    times = []
    while True:
        started, outcome = time.thread_time(), ""
        try:
            next(slices)
        except StopIteration:
            outcome = "accepted"
        except Refusal as refusal:
            outcome = refusal.code.code
        times.append(time.thread_time() - started)
        if outcome:
            return times, outcome


if __name__ == "__main__":
    main()
