"""Two questions an orchestrator asks: does the process run, and may it be sent traffic."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from proxy.readiness import readiness

DECIDING = ("gateway", "identities", "journal")


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "live"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when this gateway can answer known callers, else 503; parts are named without address or error text.

    The stores are shared: taking every gateway out of rotation while one is away would turn clear refusals into none.
    Nobody is asked: a server that is stalled would keep the probe waiting, and `change_log` says how PostgreSQL is.
    """
    found = parts()
    is_ready = all(found.get(name, False) for name in DECIDING)
    return JsonResponse(
        {"status": "ready" if is_ready else "not ready", "parts": found},
        status=200 if is_ready else 503,
    )


def parts() -> dict[str, bool]:
    """Of each part of this process, whether it works now."""
    return readiness()
