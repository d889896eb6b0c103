"""What clients read before they ask: the server's metadata (RFC 8414), that of each resource (RFC 9728), and the public keys."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from accounts.models.keys import Scope
from accounts.oauth.endpoints import GRANTS
from accounts.oauth.issuer import issuer, resource_of, scopes_of, token_endpoint
from accounts.oauth.signing_keys import published_keys
from accounts.ways_in.proven import Door

# Far less than a key is published before it signs.
KEPT_S = 300
_AUTHENTICATION = {
    "auth_methods": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
    "algorithms": ["ES256", "EdDSA", "Ed25519", "PS256", "RS256"],
}
_get = require_http_methods(["GET", "HEAD"])


@_get
def server_metadata(request: HttpRequest) -> HttpResponse:
    at = issuer()
    methods, algorithms = _AUTHENTICATION["auth_methods"], _AUTHENTICATION["algorithms"]
    return _published(
        {
            "issuer": at,
            "authorization_endpoint": f"{at}/oauth/authorize",
            "token_endpoint": token_endpoint(),
            "device_authorization_endpoint": f"{at}/oauth/device-authorization",
            "revocation_endpoint": f"{at}/oauth/revoke",
            "introspection_endpoint": f"{at}/oauth/introspect",
            "jwks_uri": f"{at}/.well-known/jwks.json",
            "scopes_supported": [scope.value for scope in Scope],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANTS),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [*methods, "none"],
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "revocation_endpoint_auth_methods_supported": [*methods, "none"],
            "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
            "introspection_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
            "authorization_response_iss_parameter_supported": True,
            "protected_resources": [resource_of(door) for door in Door],
        }
    )


@_get
def resource_metadata(request: HttpRequest, resource: str = "v1") -> HttpResponse:
    """Describe the resource whose path stands behind the well-known one; without a path, that of the calls."""
    found = next((door for door in Door if resource_of(door) == f"{issuer()}/{resource}"), None)
    if found is None:
        raise Http404
    return _published(
        {
            "resource": resource_of(found),
            "authorization_servers": [issuer()],
            "jwks_uri": f"{issuer()}/.well-known/jwks.json",
            "scopes_supported": sorted(scopes_of(found)),
            "bearer_methods_supported": ["header"],
        }
    )


@_get
def jwks(request: HttpRequest) -> HttpResponse:
    """Answer the keys that verify our tokens. Each is here before its first and until after its last token."""
    return _published({"keys": published_keys()})


def _published(facts: dict[str, Any]) -> HttpResponse:
    reply = JsonResponse(facts)
    reply["Cache-Control"] = f"public, max-age={KEPT_S}"
    reply["Access-Control-Allow-Origin"] = "*"
    return reply
