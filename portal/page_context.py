from functools import partial

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from portal.navigation import navigation_for


def page_context(request: HttpRequest) -> dict[str, object]:
    """What every page may show. The navigation is asked for by the pages that show it alone."""
    return {
        "base_url": settings.LATCHKEY_BASE_URL,
        "demonstration": settings.LATCHKEY_DEMONSTRATION,
        "navigation": SimpleLazyObject(partial(navigation_for, request)),
    }
