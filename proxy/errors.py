"""Every refusal, once: its code, its status, what the caller reads, and nothing of what the log reads.

    401  missing_credential · invalid_credential
    403  address_not_allowed · outside_hours · kind_not_allowed
    404  model_not_found · unknown_path
    405  method_not_allowed
    400  the request's form: malformed_request … unsupported_value
    408  body_timeout
    413  body_too_large            415  wrong_content_type · compressed_body
    421  unknown_host              429  limit_reached · too_many_unknown_credentials
    499  client_gone (journal only)
    502  upstream_unreachable · upstream_refused · upstream_error · upstream_nonsense · upstream_cut_off · upstream_too_large
    503  identity_unavailable · limits_unavailable · bodies_busy · journal_full · upstream_busy · stopping
    504  upstream_timeout          500  internal_error

Clients of OpenAI's libraries raise their own classes for these statuses. docs/errors.md explains each code.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec

from proxy.call import CallStatus


class Code(Enum):
    """code: (HTTP status, OpenAI error type, public text, status in the ledger)."""

    MISSING_CREDENTIAL = (
        401,
        "authentication_error",
        "No credential was given. Send an API key or a token as `Authorization: Bearer …`.",
    )
    INVALID_CREDENTIAL = (
        401,
        "authentication_error",
        "This credential is not valid. Check that it is complete, has not ended and has not been revoked.",
    )
    ADDRESS_NOT_ALLOWED = (
        403,
        "permission_error",
        "This credential may not be used from this address.",
    )
    OUTSIDE_HOURS = (
        403,
        "permission_error",
        "This credential may not be used at this time.",
    )
    KIND_NOT_ALLOWED = (
        403,
        "permission_error",
        "This credential does not allow this kind of call.",
    )
    MODEL_NOT_FOUND = (
        404,
        "not_found_error",
        "This model does not exist, or it has not been granted to you.",
    )
    UNKNOWN_PATH = (404, "not_found_error", "There is nothing at this path.")
    METHOD_NOT_ALLOWED = (405, "invalid_request_error", "This path does not take this method.")
    MALFORMED_REQUEST = (400, "invalid_request_error", "The request's form is not acceptable.")
    MALFORMED_BODY = (400, "invalid_request_error", "The body is not a JSON object in UTF-8.")
    DUPLICATE_MEMBER = (400, "invalid_request_error", "The body names one member twice.")
    NESTED_TOO_DEEP = (400, "invalid_request_error", "The body is nested too deep.")
    QUERY_NOT_ACCEPTED = (
        400,
        "invalid_request_error",
        "This path takes no query. Send everything in the body and the credential in a header.",
    )
    MISSING_MEMBER = (400, "invalid_request_error", "A member that this call needs is missing.")
    UNSUPPORTED_VALUE = (400, "invalid_request_error", "A member has a value that is not accepted.")
    MEMBER_NOT_ACCEPTED = (
        400,
        "invalid_request_error",
        "The body has a member that this model does not accept.",
    )
    WRONG_MODEL_KIND = (
        400,
        "invalid_request_error",
        "This model does not answer this kind of call.",
    )
    CONTEXT_EXCEEDED = (
        400,
        "invalid_request_error",
        "The output asked for is larger than the model's context.",
    )
    UPSTREAM_REJECTED = (400, "invalid_request_error", "The model rejected the request.")
    BODY_TIMEOUT = (408, "invalid_request_error", "The body did not arrive in time.")
    BODY_TOO_LARGE = (413, "invalid_request_error", "The body is larger than this gateway accepts.")
    WRONG_CONTENT_TYPE = (415, "invalid_request_error", "Send the body as application/json.")
    COMPRESSED_BODY = (415, "invalid_request_error", "Send the body uncompressed.")
    UNKNOWN_HOST = (421, "invalid_request_error", "This gateway does not answer to that host name.")
    LIMIT_REACHED = (429, "rate_limit_error", "A limit is reached.")
    TOO_MANY_UNKNOWN_CREDENTIALS = (
        429,
        "rate_limit_error",
        "Too many unknown credentials came from this address. Wait before the next try.",
    )
    CLIENT_GONE = (499, "client_error", "The caller hung up.", CallStatus.CLIENT_GONE)
    CREDENTIAL_ENDED = (
        401,
        "authentication_error",
        "This credential ended while the call was running.",
        CallStatus.REVOKED,
    )
    UPSTREAM_UNREACHABLE = (
        502,
        "upstream_error",
        "The model's server could not be reached.",
        CallStatus.UPSTREAM_ERROR,
    )
    UPSTREAM_REFUSED = (
        502,
        "upstream_error",
        "The model's server did not accept this gateway. Its administrators have to look.",
        CallStatus.UPSTREAM_ERROR,
    )
    UPSTREAM_ERROR = (
        502,
        "upstream_error",
        "The model's server failed.",
        CallStatus.UPSTREAM_ERROR,
    )
    UPSTREAM_NONSENSE = (
        502,
        "upstream_error",
        "The model's server sent an answer that cannot be passed on.",
        CallStatus.UPSTREAM_ERROR,
    )
    UPSTREAM_CUT_OFF = (
        502,
        "upstream_error",
        "The model's server broke off its answer.",
        CallStatus.CUT_OFF,
    )
    UPSTREAM_TOO_LARGE = (
        502,
        "upstream_error",
        "The model's answer is larger than this gateway passes on.",
        CallStatus.UPSTREAM_ERROR,
    )
    UPSTREAM_BUSY = (
        503,
        "upstream_error",
        "The model's server is busy.",
        CallStatus.UPSTREAM_ERROR,
    )
    UPSTREAM_TIMEOUT = (
        504,
        "upstream_error",
        "The model's server did not answer in time.",
        CallStatus.UPSTREAM_TIMEOUT,
    )
    IDENTITY_UNAVAILABLE = (
        503,
        "service_unavailable",
        "Credentials cannot be checked at the moment.",
    )
    LIMITS_UNAVAILABLE = (503, "service_unavailable", "Limits cannot be checked at the moment.")
    BODIES_BUSY = (
        503,
        "service_unavailable",
        "Too many large bodies are arriving at the moment.",
    )
    JOURNAL_FULL = (
        503,
        "service_unavailable",
        "Calls cannot be recorded at the moment, so none is made.",
    )
    STOPPING = (503, "service_unavailable", "This gateway is stopping.", CallStatus.FAILED)
    INTERNAL_ERROR = (500, "internal_error", "The gateway failed on this call.", CallStatus.FAILED)

    def __init__(
        self, http_status: int, kind: str, text: str, call_status: CallStatus = CallStatus.REFUSED
    ) -> None:
        self.http_status = http_status
        self.kind = kind
        self.text = text
        self.call_status = call_status

    @property
    def code(self) -> str:
        return self.name.lower()


class Refusal(Exception):
    """A call is refused, or failed, for this reason.

    seen: what was seen, for the caller; it must hold nothing secret and nothing of another caller.
    fields: more headers of the reply.
    allow: the method that the path takes, where another was used (RFC 9110 wants it told).
    detail: for the log alone.
    """

    def __init__(
        self,
        code: Code,
        *,
        seen: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
        fields: Sequence[tuple[bytes, bytes]] = (),
        allow: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(code.code)
        self.code = code
        self.seen = seen
        self.param = param
        self.retry_after_s = retry_after_s
        self.fields = fields
        self.allow = allow
        self.detail = detail
        # Whether the journal has the call, so that its line in the log is not all that remains of it.
        self.is_recorded = False

    @property
    def public_text(self) -> str:
        return f"{self.code.text} {self.seen}".strip()

    def body(self) -> bytes:
        """The envelope that OpenAI's clients read."""
        return _encode(
            {
                "error": {
                    "message": self.public_text,
                    "type": self.code.kind,
                    "param": self.param,
                    "code": self.code.code,
                }
            }
        )

    def headers(self) -> list[tuple[bytes, bytes]]:
        if self.allow:
            return [(b"allow", self.allow.encode())]
        if self.retry_after_s is None:
            return [*self.fields]
        return [(b"retry-after", b"%d" % max(1, -(-self.retry_after_s // 1))), *self.fields]


_encode = msgspec.json.Encoder().encode
