"""How long one body can keep a gateway's event loop from its other calls."""

import time
from collections.abc import Iterator

from bench.body_shapes import CHATS, EMBEDDINGS
from bench.proof import Verdict
from bench.table import draw_table
from proxy.call import CallKind
from proxy.errors import Refusal
from proxy.parse import parse_slices

NAME = "bodies"
PROMISE = "No body of 8 MiB, whatever its shape, holds up other calls for more than 50 ms at once."
MOST_S = 0.05
TRIES = 5
HEADS = ("body", "at once, ms", "in all, ms", "slices", "outcome")


def run() -> Verdict:
    """Read each shape some times, slice by slice, and keep the quickest try: CPU time of this thread."""
    rows, longest = [], 0.0
    for kind, shapes in ((CallKind.CHAT, CHATS), (CallKind.EMBEDDINGS, EMBEDDINGS)):
        for name, body in shapes.items():
            tries = [[*slices_s(kind, body)] for _ in range(TRIES)]
            at_once, whole = min(map(max, tries)), min(map(sum, tries))
            longest = max(longest, at_once)
            rows.append(
                (at_once, f"{kind.value}: {name}", whole, len(tries[0]), _outcome(kind, body))
            )
    rows.sort(reverse=True)
    lines = [
        (name, f"{at_once * 1e3:.1f}", f"{whole * 1e3:.1f}", str(slices), outcome)
        for at_once, name, whole, slices, outcome in rows
    ]
    print(draw_table(HEADS, lines))
    return Verdict(f"{longest * 1e3:.1f} ms at once", "50 ms", longest <= MOST_S)


def slices_s(kind: CallKind, body: bytes) -> Iterator[float]:
    """Seconds of this thread for each slice of reading a body, up to its refusal."""
    slices = parse_slices(kind, body)
    is_over = False
    while not is_over:
        started = time.thread_time()
        try:
            next(slices)
        except (Refusal, StopIteration):
            is_over = True
        yield time.thread_time() - started


def _outcome(kind: CallKind, body: bytes) -> str:
    try:
        for _ in parse_slices(kind, body):
            pass
    except Refusal as refusal:
        return refusal.code.code
    return "accepted"
