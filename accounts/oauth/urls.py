"""The authorization server's addresses. The library's own URLs are not included: what is not asked for is not served."""

from django.urls import path

from accounts.oauth import endpoints, metadata
from accounts.oauth.consent import authorize
from accounts.oauth.device_page import device

urlpatterns = [
    path("oauth/authorize", authorize, name="oauth-authorize"),
    path("oauth/device", device, name="oauth-device"),
    path("oauth/token", endpoints.token, name="oauth-token"),
    path("oauth/revoke", endpoints.revoke, name="oauth-revoke"),
    path("oauth/introspect", endpoints.introspect, name="oauth-introspect"),
    path(
        "oauth/device-authorization",
        endpoints.device_authorization,
        name="oauth-device-authorization",
    ),
    path(
        ".well-known/oauth-authorization-server",
        metadata.server_metadata,
        name="oauth-server-metadata",
    ),
    path(
        ".well-known/oauth-protected-resource",
        metadata.resource_metadata,
        name="oauth-resource-metadata",
    ),
    path(
        ".well-known/oauth-protected-resource/<path:resource>",
        metadata.resource_metadata,
        name="oauth-resource-metadata-of",
    ),
    path(".well-known/jwks.json", metadata.jwks, name="oauth-jwks"),
]
