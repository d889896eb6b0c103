"""Between Django's requests and the OAuth library: what it reads, and that codes reach it as the digests they are stored under."""

from functools import cache
from typing import Any

from django.http import HttpRequest
from oauth2_provider.oauth2_backends import OAuthLibCore

from accounts.oauth.secrets import digest_of
from portal.lib.page_peer import page_peer

# Under which name the library is told where a request comes from. No header's name has a space.
PEER = "the peer"
_CODES = frozenset({"code", "device_code"})


class Backend(OAuthLibCore):  # type: ignore[misc]
    """The library's, without what a request to the authorization endpoint brings in its body."""

    def extract_body(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Return the form's members. A person's decision is none of the protocol's, and must not overwrite what it asked for."""
        if request.path.rstrip("/").endswith("/authorize"):
            return []
        return [
            (name, digest_of(value) if name in _CODES else value)
            for name, value in super().extract_body(request)
        ]

    def extract_headers(self, request: HttpRequest) -> dict[str, Any]:
        """Return the headers, and the true peer beside them."""
        return dict(super().extract_headers(request)) | {PEER: page_peer(request)}


@cache
def backend() -> Backend:
    return Backend()
