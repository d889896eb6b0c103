"""What the management API says when it refuses: RFC 9457 problems, all made here, by DRF's one exception handler.

A problem's `code` is stable and explained in docs/api.md; its `errors` name the fields at fault; its `instance` is the
request's id, under which the log knows it.
"""

import logging
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    ValidationError,
)
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.oauth.challenges import HEADER, TokenError, challenge
from accounts.second_factors import SecondFactorNeeded
from accounts.ways_in.proven import Door
from portal.lib.redaction import redact

MEDIA_TYPE = "application/problem+json"
# Under which name `errors` holds what concerns no single field.
WHOLE_REQUEST = "request"
TEXT_MAX = 500
FIELDS_MAX = 50
_log = logging.getLogger("latchkey.api")


class ProblemCode(Enum):
    """code: (HTTP status, title)."""

    INVALID_REQUEST = (400, "Something in the request is not accepted.")
    MALFORMED_BODY = (400, "The body is not one JSON object in UTF-8.")
    INVALID_CURSOR = (400, "This cursor is none that this list gave out.")
    INVALID_IDEMPOTENCY_KEY = (400, "An Idempotency-Key is 1 to 200 printable ASCII characters.")
    MISSING_CREDENTIAL = (
        401,
        "Sign in, or send an API key or a token as `Authorization: Bearer …`.",
    )
    INVALID_CREDENTIAL = (401, "This credential is not valid.")
    ADDRESS_NOT_ALLOWED = (403, "This credential may not be used from this address.")
    OUTSIDE_HOURS = (403, "This credential may not be used at this time.")
    SCOPE_MISSING = (403, "This credential does not have the scope that this needs.")
    CSRF_FAILED = (403, "The browser's token against forgery is missing or wrong.")
    SECOND_FACTOR_NEEDED = (403, "This opens to whoever has set up a second factor, at /security/.")
    PROOF_NEEDED = (403, "Prove at /prove/ that it is still you, and send this again.")
    FORBIDDEN = (403, "You may not do this.")
    NOT_FOUND = (404, "There is nothing here for you.")
    METHOD_NOT_ALLOWED = (405, "This path does not take this method.")
    CONFLICT = (409, "Somebody else changed this at the same moment.")
    IN_PROGRESS = (409, "A request under this Idempotency-Key is still running.")
    BODY_TOO_LARGE = (413, "The body is larger than this API accepts.")
    WRONG_CONTENT_TYPE = (415, "Send the body as application/json, uncompressed.")
    IDEMPOTENCY_KEY_REUSED = (422, "Another request was made under this Idempotency-Key.")
    PROVIDER_SILENT = (422, "The provider did not answer as a provider does.")
    TOO_MANY_REQUESTS = (429, "Too many requests. Wait before the next one.")
    TOO_MANY_UNKNOWN_CREDENTIALS = (429, "Too many unknown credentials came from this address.")
    INTERNAL_ERROR = (500, "The portal failed on this request.")
    STORE_UNAVAILABLE = (503, "Tries cannot be counted at the moment, so none is let in.")
    DATABASE_UNAVAILABLE = (503, "The database cannot be reached at the moment.")

    def __init__(self, status: int, title: str) -> None:
        self.status = status
        self.title = title

    @property
    def code(self) -> str:
        return self.name.lower()

    @property
    def uri(self) -> str:
        return f"urn:latchkey:problem:{self.code}"


class Problem(Exception):
    """A request is refused for this reason.

    detail: what was seen and what to do; never a secret, and nothing of what the caller may not see.
    errors: what is wrong, by field.
    """

    def __init__(
        self,
        code: ProblemCode,
        detail: str = "",
        *,
        errors: Mapping[str, list[str]] | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code.code)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)


def answer_problem(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: everything that a view raises becomes a problem."""
    request = context["request"]
    request_id = getattr(request, "request_id", "")
    problem = _problem_of(error, request_id)
    return Response(
        problem_body(problem, request_id),
        status=problem.code.status,
        content_type=MEDIA_TYPE,
        headers=problem.headers | _challenge_of(problem.code),
    )


def _challenge_of(code: ProblemCode) -> dict[str, str]:
    """The challenge that belongs to the code, the same whatever made the credential invalid."""
    if code not in _CHALLENGED:
        return {}
    return {HEADER: challenge(Door.MANAGEMENT, _CHALLENGED[code])}


_CHALLENGED = {
    ProblemCode.MISSING_CREDENTIAL: None,
    ProblemCode.INVALID_CREDENTIAL: TokenError.INVALID_TOKEN,
    ProblemCode.SCOPE_MISSING: TokenError.INSUFFICIENT_SCOPE,
}


def problem_body(problem: Problem, request_id: str) -> dict[str, object]:
    """The members of RFC 9457, with `code` and, where fields are at fault, `errors`."""
    body: dict[str, object] = {
        "type": problem.code.uri,
        "title": problem.code.title,
        "status": problem.code.status,
        "detail": problem.detail or problem.code.title,
        "instance": f"urn:uuid:{request_id}",
        "code": problem.code.code,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return body


def _problem_of(error: Exception, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return invalid(_errors_of(error))
    if isinstance(error, exceptions.ValidationError):
        return invalid(_flat(error.detail))
    if isinstance(error, exceptions.MethodNotAllowed):
        return Problem(ProblemCode.METHOD_NOT_ALLOWED)
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return Problem(code, retry_after_s=1 if code.status in (409, 503) else None)
    _log.error("A request failed.", exc_info=error, extra={"request_id": request_id})
    return Problem(ProblemCode.INTERNAL_ERROR)


_CODES: tuple[tuple[tuple[type[Exception], ...], ProblemCode], ...] = (
    ((Http404, exceptions.NotFound), ProblemCode.NOT_FOUND),
    ((SecondFactorNeeded,), ProblemCode.SECOND_FACTOR_NEEDED),
    ((PermissionDenied, exceptions.PermissionDenied), ProblemCode.FORBIDDEN),
    ((exceptions.NotAuthenticated,), ProblemCode.MISSING_CREDENTIAL),
    ((exceptions.AuthenticationFailed,), ProblemCode.INVALID_CREDENTIAL),
    ((exceptions.UnsupportedMediaType,), ProblemCode.WRONG_CONTENT_TYPE),
    ((exceptions.ParseError,), ProblemCode.MALFORMED_BODY),
    ((RequestDataTooBig,), ProblemCode.BODY_TOO_LARGE),
    ((RedisError,), ProblemCode.STORE_UNAVAILABLE),
    ((OperationalError, InterfaceError), ProblemCode.DATABASE_UNAVAILABLE),
    ((IntegrityError,), ProblemCode.CONFLICT),
)


def invalid(errors: Mapping[str, list[str]]) -> Problem:
    """Say which fields are at fault; what they held is shown without what looks like a credential."""
    shown = {
        name: [redact(text)[:TEXT_MAX] for text in texts]
        for name, texts in list(errors.items())[:FIELDS_MAX]
    }
    named = ", ".join(shown)[:TEXT_MAX]
    return Problem(
        ProblemCode.INVALID_REQUEST, f"Look at `errors`: {named}." if named else "", errors=shown
    )


def _errors_of(error: ValidationError) -> dict[str, list[str]]:
    if not hasattr(error, "error_dict"):
        return {WHOLE_REQUEST: error.messages}
    return {
        WHOLE_REQUEST if name == NON_FIELD_ERRORS else name: texts
        for name, texts in error.message_dict.items()
    }


def _flat(detail: Any) -> dict[str, list[str]]:
    """DRF's nested errors, each under its dotted path."""
    found: dict[str, list[str]] = {}
    for path, text in _walk(detail, ""):
        found.setdefault(path or WHOLE_REQUEST, []).append(text)
    return found


def _walk(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)
            yield from _walk(inner, ".".join(filter(None, (path, step))))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _walk(inner, path)
    else:
        yield path, str(detail)
