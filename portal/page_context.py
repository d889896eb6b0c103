from django.conf import settings
from django.http import HttpRequest


def page_context(request: HttpRequest) -> dict[str, object]:
    """What every page may show."""
    return {
        "base_url": settings.LATCHKEY_BASE_URL,
        "demonstration": settings.LATCHKEY_DEMONSTRATION,
    }
