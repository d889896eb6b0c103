"""What the doors before every view have in common: they look at a request once its view is known, and at nothing else."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase


class BeforeViews:
    """A middleware whose work is its `process_view`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)
