"""Bodies that callers send and answers that upstreams give, in OpenAI's form."""

import json
from typing import Any

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
SECRET_PROMPT = "The merger closes on Thursday"
JSON_HEAD = b"content-type: application/json\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def chat_body(model: str, question: str = "Hello", **members: Any) -> bytes:
    """A chat request's body."""
    messages = [{"role": "user", "content": question}]
    return json.dumps({"model": model, "messages": messages} | members).encode()


def embeddings_body(model: str, text: Any = "Hello", **members: Any) -> bytes:
    """An embeddings request's body."""
    return json.dumps({"model": model, "input": text} | members).encode()


def demo(**directive: object) -> str:
    """A question that tells the demonstration upstream how to behave."""
    return "[[demo " + " ".join(f"{name}={value}" for name, value in directive.items()) + "]]"


def whole(body: bytes, *, status: bytes = b"200 OK", headers: bytes = JSON_HEAD) -> bytes:
    """An answer with its length."""
    return b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, headers, len(body), body)


def completion(text: str = "Good day.", **members: Any) -> dict[str, Any]:
    """A chat completion of the upstream's model."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "c", "model": "upstream-chat", "choices": [choice], "usage": usage} | members


def event(payload: object) -> bytes:
    """One server-sent event."""
    text = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


def delta(text: str, **members: Any) -> bytes:
    """One streamed piece of an answer."""
    choice = {"index": 0, "delta": {"content": text}}
    return event({"id": "c", "model": "upstream-chat", "choices": [choice]} | members)


def usage_event(prompt: int = 7, output: int = 3) -> bytes:
    """The event that says what a stream cost."""
    usage = {"prompt_tokens": prompt, "completion_tokens": output}
    return event({"id": "c", "model": "upstream-chat", "choices": [], "usage": usage})


DONE = event("[DONE]")


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(*events: bytes) -> bytes:
    """A whole streamed answer, a chunk for each event."""
    return STREAM_HEAD + b"".join(map(chunk, events)) + LAST_CHUNK
