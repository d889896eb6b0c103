"""Asks a provider which models it has."""

import json

import requests

from portal.lib.checked_http import get_bytes
from portal.lib.networks import AddressNotAllowed, NetworkPolicy


class ProviderSilent(Exception):
    """The provider did not answer with a list of models; the text says what was seen, without its credential."""


def list_upstream_models(base_url: str, *, credential: str, networks: NetworkPolicy) -> list[str]:
    """Return the names at `<base_url>/models`. Raises: ProviderSilent."""
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    try:
        body = get_bytes(f"{base_url.rstrip('/')}/models", networks=networks, headers=headers)
        entries = json.loads(body)["data"]
        names = {str(entry["id"])[:200] for entry in entries}
        # Names go to a terminal, which obeys control characters.
        return sorted(name for name in names if name.isprintable())
    except AddressNotAllowed:
        raise ProviderSilent("its address is in none of LATCHKEY_PROVIDER_NETWORKS") from None
    except requests.HTTPError as error:
        raise ProviderSilent(f"it answered {error.response.status_code}") from None
    except (requests.RequestException, OSError) as error:
        raise ProviderSilent(f"it could not be reached ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProviderSilent("its answer is not a list of models") from None
