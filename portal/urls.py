"""Every route. The inference paths are answered in portal.asgi before Django sees them."""

from django.urls import include, path

from portal import health

urlpatterns = [
    path("", include("portal.pages.urls")),
    path("", include("accounts.urls")),
    path("", include("models_registry.urls")),
    path("", include("proxy.urls")),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]

handler400 = "portal.pages.errors.malformed"
handler403 = "portal.pages.errors.forbidden"
handler404 = "portal.pages.errors.not_found"
handler500 = "portal.pages.errors.failed"
