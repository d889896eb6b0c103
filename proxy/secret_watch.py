"""Notices the provider's credential in what an answer says, also when it comes letter by letter.

An upstream can echo what it was sent. What passed cannot be called back, so an answer ends as soon as half of the credential
stands in it in a row: the other half is still not to be guessed.
"""

from functools import lru_cache

import msgspec

from proxy.errors import Code, Refusal
from proxy.upstreams.openai_chat import Said, plain_bytes

SHORTEST_STRETCH = 8
# A chat has at most 128 choices, and each says little under more than a few names.
_TEXTS_MAX = 2048


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int = 0
    function: _Function | None = None


_decode_tool_calls = msgspec.json.Decoder(list[_ToolCall] | None).decode


class SecretWatch:
    """One answer's texts, each by its choice and name, and of each the end that could begin the credential."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._stretch, self._pieces = _measures(secret)
        self._ends: dict[tuple[int, str], bytes] = {}

    def may_stand_in(self, body: bytes) -> bool:
        """Whether a whole answer has to be looked into: without an escape, its texts stand in it as they are."""
        if b"\\" in body:
            return True
        for piece in self._pieces:  # noqa: SIM110 - `any` takes twice the time, and every answer is asked.
            if piece in body:
                return True
        return False

    def see(self, choice: int, said: Said) -> None:
        """Take in a delta or a message of the choice. Raises: Refusal upstream_nonsense."""
        if not self._pieces:
            return
        for name, value in said.items():
            data = bytes(value)
            if data.startswith(b'"'):
                if name != "role":
                    self._take_in((choice, name), plain_bytes(data))
            elif name == "tool_calls":
                for call in _decode_tool_calls(data) or ():
                    if call.function is not None and call.function.arguments:
                        text = call.function.arguments.encode("utf-8", "replace")
                        self._take_in((choice, f"tool {call.index}"), text)

    def _take_in(self, where: tuple[int, str], text: bytes) -> None:
        text = self._ends.get(where, b"") + text
        for piece in self._pieces:
            if piece in text and self._holds_stretch(text):
                raise Refusal(
                    Code.UPSTREAM_NONSENSE, detail="the answer repeats the provider's credential"
                )
        self._ends[where] = text[-self._stretch :]
        if len(self._ends) > _TEXTS_MAX:
            raise Refusal(Code.UPSTREAM_NONSENSE, detail="the answer says too much at once")

    def _holds_stretch(self, text: bytes) -> bool:
        size = self._stretch
        stretches = {self._secret[at : at + size] for at in range(len(self._secret) - size + 1)}
        return any(text[at : at + size] in stretches for at in range(len(text) - size + 1))


@lru_cache(maxsize=256)
def _measures(secret: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Return how long a stretch may not pass, and pieces of which each such stretch holds one whole."""
    stretch = min(len(secret), max(SHORTEST_STRETCH, -(-len(secret) // 2)))
    size = (stretch + 1) // 2
    pieces = (secret[at : at + size] for at in range(0, len(secret) - size + 1, max(1, size)))
    return stretch, tuple(piece for piece in pieces if piece)
