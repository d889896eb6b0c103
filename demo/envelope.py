"""Refusals in OpenAI's envelope: status, type, code and a message that says who speaks."""

import msgspec

TYPE_OF_STATUS = {
    401: "invalid_request_error",
    403: "permission_error",
    429: "rate_limit_error",
}
CODE_OF_STATUS = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class Refusal(Exception):
    """A call that is answered with an error; raised anywhere while it is being read."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code if code is not None else CODE_OF_STATUS.get(status)
        self.param = param
        self.headers = headers

    def encode(self) -> bytes:
        """The JSON body that an OpenAI client turns into its own exception."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {
            "message": f"Latchkey's demonstration upstream: {self}",
            "type": TYPE_OF_STATUS.get(self.status, kind),
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})
