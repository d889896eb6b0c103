"""The least of an OAuth client that a proof needs: a form sent, and the JSON that came back."""

import json
import urllib.request
from urllib.parse import urlencode

from bench.proof import NotProven

TIMEOUT_S = 20.0


def fetch_machine_token(port: int, *, client_id: str, client_secret: str) -> str:
    """Return an access token by the client credentials grant. Raises: NotProven."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/oauth/token", urlencode(form).encode())
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as reply:
            return str(json.load(reply)["access_token"])
    except OSError as error:
        raise NotProven(f"no access token was issued: {error}") from None
