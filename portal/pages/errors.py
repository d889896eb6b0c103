"""The pages of what went wrong. They say what to do, and nothing of what happened inside."""

import sys

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template import loader
from redis.exceptions import RedisError

from proxy.api.inference import Elsewhere
from proxy.fast_door import is_inference

LOST_STORES = (OperationalError, InterfaceError, RedisError)
RETRY_AFTER_S = 30
elsewhere = Elsewhere.as_view()


def malformed(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if isinstance(exception, DisallowedHost) and is_inference(request.path):
        # It came no further than Django's own check of hosts. The calls' door makes the same, and says so in its form.
        return elsewhere(request)
    # Rendered without the request, which could not be read.
    return HttpResponse(loader.get_template("400.html").render(), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid token against forgery; the reason is for logs alone."""
    return render(request, "403_csrf.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def failed(request: HttpRequest) -> HttpResponse:
    """Answer an unforeseen error without a query: the database may be what failed, and then waiting helps."""
    if isinstance(sys.exception(), LOST_STORES):
        response = HttpResponse(loader.get_template("503.html").render(), status=503)
        response["Retry-After"] = str(RETRY_AFTER_S)
        return response
    return HttpResponse(loader.get_template("500.html").render(), status=500)
