"""Every reply carries the id under which the logs know its request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from portal.lib.ids import new_id


class RequestIds:
    """Sets X-Request-Id. The id is always ours: a caller's own would let it write into our logs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.request_id = str(new_id())  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response
