"""A small HTTP client for proofs: one call a connection, on asyncio, so that thousands fit."""

import asyncio
import json
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What came back, whole or cut."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def write_chat(question: str, *, key: str, model: str, stream: bool = False) -> bytes:
    """A chat call in one piece, whose connection ends with the answer."""
    messages = [{"role": "user", "content": question}]
    body = json.dumps({"model": model, "messages": messages, "stream": stream}).encode()
    return write_request("POST", "/v1/chat/completions", key=key, body=body)


def write_request(method: str, path: str, *, key: str, body: bytes = b"") -> bytes:
    """Any request in one piece."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


async def exchange(port: int, request: bytes, *, timeout_s: float) -> Answer:
    """Send and read to the end. Raises: OSError or TimeoutError where nothing can be read."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            received = await reader.read(-1)
        finally:
            writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return Answer(int(words[1]) if len(words) > 1 else 0, head, body)
