"""Every route. The inference paths are answered in portal.asgi before Django sees them."""

from django.contrib import admin
from django.urls import include, path

from portal import health
from portal.api_document import Document, Documentation

urlpatterns = [
    path("", include("portal.pages.urls")),
    path("", include("accounts.urls")),
    path("", include("accounts.oauth.urls")),
    path("", include("models_registry.urls")),
    path("", include("proxy.urls")),
    path("api/docs/", Documentation.as_view(), name="api-docs"),
    path("api/v1/openapi.json", Document.as_view(), name="api-schema"),
    path("api/v1/", include("portal.api_urls")),
    path("", include("proxy.api.inference_urls")),
    path("admin/", admin.site.urls),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]

handler400 = "portal.pages.errors.malformed"
handler403 = "portal.pages.errors.forbidden"
handler404 = "portal.pages.errors.not_found"
handler500 = "portal.pages.errors.failed"
