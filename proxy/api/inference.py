"""The calls of models as DRF views, so that one document describes the whole API and any server can serve it.

They are thin: each hands its request to the fast door, which decides everything. Their errors are OpenAI's envelope, like
everything under /v1/.
"""

from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.bodies import OnlyJson
from proxy.api.background import background_door
from proxy.api.carried_call import AnswerBody, CarriedCall, answer_headers
from proxy.api.inference_document import describe_chat, describe_embeddings, describe_models
from proxy.errors import Code, Refusal


class InferenceView(APIView):
    """Closed by the pipeline, which knows keys: whoever has none is refused there, whatever the path and the method."""

    refuses_strangers_itself = True
    authentication_classes = []
    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OnlyJson
    schema: Any

    @property
    def default_response_headers(self) -> dict[str, str]:
        """None of DRF's own: the door says which method a path takes."""
        return {}

    def through(self, request: Request) -> HttpResponseBase:
        """Answer as the fast door answers."""
        call = CarriedCall(background_door(), request._request)  # noqa: SLF001 - the bytes as they came.
        head = call.take()
        if head is None:
            raise ConnectionResetError
        piece = call.take() or {}
        reply: HttpResponseBase
        if piece.get("more_body"):
            reply = StreamingHttpResponse(AnswerBody(call, piece), status=head["status"])
        else:
            reply = HttpResponse(piece.get("body", b""), status=head["status"])
        return self._with_headers(reply, answer_headers(head))

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self.through(request)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self.through(request)

    def handle_exception(self, exc: Exception) -> Any:
        """Say in OpenAI's form that the gateway failed, or does not start."""
        refusal = Refusal(Code.INTERNAL_ERROR)
        return HttpResponse(
            refusal.body(), status=refusal.code.http_status, content_type="application/json"
        )

    def _with_headers(
        self, reply: HttpResponseBase, headers: list[tuple[str, str]]
    ) -> HttpResponseBase:
        for name, value in headers:
            reply[name] = value
        # The id under which the call stands in the ledger is the request's.
        self.request._request.request_id = reply["x-request-id"]  # type: ignore[attr-defined]  # noqa: SLF001
        return reply


class ChatCompletions(InferenceView):
    @describe_chat
    def post(self, request: Request) -> HttpResponseBase:
        return self.through(request)


class Embeddings(InferenceView):
    @describe_embeddings
    def post(self, request: Request) -> HttpResponseBase:
        return self.through(request)


class ModelList(InferenceView):
    @describe_models("list_callable_models", "List the models a credential can call.")
    def get(self, request: Request) -> HttpResponseBase:
        return self.through(request)


class Model(InferenceView):
    @describe_models("get_callable_model", "Read a model a credential can call.")
    def get(self, request: Request, name: str) -> HttpResponseBase:
        return self.through(request)


class Elsewhere(InferenceView):
    """Every other path under /v1/, so that none falls through to a page."""

    schema = None

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.through(request)
