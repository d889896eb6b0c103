"""The demonstration's paths: which request gets which answer. It knows no sockets."""

import hmac
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from demo.chat import ChatRequest, compose_answer, write_completion, write_events
from demo.counts import Call, Counts
from demo.directive import Directive, read_directive
from demo.embeddings import EmbeddingsRequest, read_text, write_embeddings
from demo.envelope import Refusal
from demo.performance import send_reply, stream_events, write_wanted_error
from demo.script import Headers, Script, write_reply

CHAT_MODEL = "demo-chat"
EMBEDDINGS_MODEL = "demo-embed"
OWNER = "latchkey-demonstration"
MODELS_CREATED = 1_750_000_000

Asked = TypeVar("Asked", bound=msgspec.Struct)


class Request(NamedTuple):
    """One request that has arrived whole. Header names are lower case; repeats are joined."""

    method: str
    target: str
    version: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """An answer, and the call that was counted for it (None where nothing is counted)."""

    wire: bytes | Script
    call: Call | None = None


def _describe_model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": MODELS_CREATED, "owned_by": OWNER}


def _read_body(request: Request, decoder: msgspec.json.Decoder[Asked]) -> Asked:
    try:
        return decoder.decode(request.body)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"{error}.", code="invalid_value") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(400, f"The body is not JSON that can be read: {error}.") from None


def _require_model(name: str, expected: str) -> None:
    if name != expected:
        message = f"The model `{name}` does not exist; this path serves `{expected}`."
        raise Refusal(404, message, code="model_not_found", param="model")


class Application:
    """Answers requests; holds the key that callers must present, and the counts."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._counts = Counts()
        self._chat_decoder = msgspec.json.Decoder(ChatRequest)
        self._embeddings_decoder = msgspec.json.Decoder(EmbeddingsRequest)
        self._paths: dict[tuple[str, str], Callable[[Request, Call | None], bytes | Script]] = {
            ("POST", "/v1/chat/completions"): self._complete_chat,
            ("POST", "/v1/embeddings"): self._embed,
            ("GET", "/v1/models"): self._list_models,
            ("GET", f"/v1/models/{CHAT_MODEL}"): self._show_model,
            ("GET", f"/v1/models/{EMBEDDINGS_MODEL}"): self._show_model,
            ("GET", "/demo/counts"): self._show_counts,
            ("POST", "/demo/reset"): self._reset_counts,
            ("GET", "/demo/redirected"): self._confess_redirect,
            ("POST", "/demo/redirected"): self._confess_redirect,
        }

    def answer(self, request: Request) -> Reply:
        """Decide what is sent for a request: plain bytes where nothing slow or broken was asked."""
        call = None
        try:
            path = request.target.partition("?")[0]
            self._require_key(request)
            call = self._count(request, path)
            return Reply(self._find(request.method, path)(request, call), call)
        except Refusal as refusal:
            return Reply(
                write_reply(refusal.status, refusal.encode(), headers=refusal.headers), call
            )

    def _require_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if self._key and not hmac.compare_digest(
            given.encode("latin-1"), f"Bearer {self._key}".encode()
        ):
            raise Refusal(401, "The Authorization header does not hold this upstream's key.")

    def _count(self, request: Request, path: str) -> Call | None:
        if path == "/demo/redirected" or (
            request.method == "POST" and not path.startswith("/demo/")
        ):
            return self._counts.begin(path, request.headers.get("x-request-id", ""))
        return None

    def _find(self, method: str, path: str) -> Callable[[Request, Call | None], bytes | Script]:
        handler = self._paths.get((method, path))
        if handler:
            return handler
        if any(known == path for _, known in self._paths):
            raise Refusal(405, f"{path} does not answer {method}.")
        raise Refusal(404, f"{path} is not served here.", code="unknown_url")

    def _complete_chat(self, request: Request, call: Call | None) -> bytes | Script:
        asked = _read_body(request, self._chat_decoder)
        _require_model(asked.model, CHAT_MODEL)
        directive = self._read_directive(asked.question(), call)
        if refusal := write_wanted_error(directive, request.headers):
            return send_reply(refusal, directive)
        answer = compose_answer(asked, directive, request.headers)
        number = call.n if call else 0
        if not asked.stream:
            body = write_completion(asked, answer, directive, number)
            return send_reply(write_reply(200, body, headers=_name_call(call)), directive)
        events = write_events(asked, answer, directive, number)
        chunked = request.version != "1.0"
        return stream_events(events, directive, chunked=chunked, headers=_name_call(call))

    def _embed(self, request: Request, call: Call | None) -> bytes | Script:
        asked = _read_body(request, self._embeddings_decoder)
        _require_model(asked.model, EMBEDDINGS_MODEL)
        directive = self._read_directive(read_text(asked), call)
        if refusal := write_wanted_error(directive, request.headers):
            return send_reply(refusal, directive)
        body = write_embeddings(asked, directive, request.headers)
        return send_reply(write_reply(200, body, headers=_name_call(call)), directive)

    def _read_directive(self, text: str, call: Call | None) -> Directive:
        directive = read_directive(text)
        if call:
            call.marker = directive.marker
        return directive

    def _list_models(self, request: Request, call: Call | None) -> bytes:
        models = [_describe_model(CHAT_MODEL), _describe_model(EMBEDDINGS_MODEL)]
        return write_reply(200, msgspec.json.encode({"object": "list", "data": models}))

    def _show_model(self, request: Request, call: Call | None) -> bytes:
        name = request.target.partition("?")[0].rpartition("/")[2]
        return write_reply(200, msgspec.json.encode(_describe_model(name)))

    def _show_counts(self, request: Request, call: Call | None) -> bytes:
        return write_reply(200, msgspec.json.encode(self._counts.describe()))

    def _reset_counts(self, request: Request, call: Call | None) -> bytes:
        self._counts.reset()
        return self._show_counts(request, call)

    def _confess_redirect(self, request: Request, call: Call | None) -> bytes:
        return write_reply(200, b'{"demonstration": "a redirect was followed to here"}')


def _name_call(call: Call | None) -> Headers:
    return (("x-request-id", f"demonstration-{call.n}"),) if call else ()
