"""Bodies of the management API: one JSON object in UTF-8, bounded, without a member named twice."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from accounts.api.problems import Problem, ProblemCode
from portal.lib.strict_json import read_object

BODY_MAX_BYTES = 128 * 1024


class JsonObject(BaseParser):
    """Reads the one form there is."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            return read_object(stream.read().decode("utf-8"))
        except ValueError:
            raise ParseError from None


class OnlyJson(BaseContentNegotiation):
    """JSON is answered, whatever was asked for: an error has to be readable, too."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        media_type, _, parameters = (request.content_type or "").lower().partition(";")
        is_utf8 = parameters.strip().replace('"', "") in ("", "charset=utf-8")
        if media_type.strip() != JsonObject.media_type or not is_utf8:
            return None
        found: BaseParser = parsers[0]
        return found

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


def refuse_large_or_compressed(request: Request) -> None:
    """Look at a body's head before a byte of it is read. Raises: Problem."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise ParseError from None
    if length > BODY_MAX_BYTES:
        raise Problem(ProblemCode.BODY_TOO_LARGE, f"The limit is {BODY_MAX_BYTES} bytes.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise Problem(ProblemCode.WRONG_CONTENT_TYPE)
