from django.conf import settings
from django.http import HttpRequest

from portal.lib.client_address import true_peer


def page_peer(request: HttpRequest) -> str:
    """The true peer of a page's request; see portal.lib.client_address."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return true_peer(
        request.META.get("REMOTE_ADDR", ""),
        [forwarded] if forwarded else [],
        trusted_hops=settings.LATCHKEY_TRUSTED_HOPS,
    )
