"""A database connection is given back before the answer is sent."""

from collections.abc import Callable

from django.db import connections
from django.http import HttpRequest, HttpResponseBase


class Connections:
    """Django gives them back once the answer has been sent: a slow reader would hold one of few, and a lost one keep it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self.get_response(request)
        finally:
            for connection in connections.all(initialized_only=True):
                # Whoever opened a transaction around the request (a test does) closes it, too.
                if not connection.in_atomic_block:
                    connection.close()
