"""What drf-spectacular cannot know of the management API by itself."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.api.fields import Taken

_ANYTHING = r"^[^\u0000]*$"
_SOMETHING = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.api.authentication.CredentialAuthentication"
    name = ["apiKey", "apiKeyHeader"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "description": "A person's API key or access token with the scope `manage` or `administer`. For calls of models: an API key, an access token, or a workload's JWT.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "x-api-key",
                "description": "The same credential in another header.",
            },
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{"apiKey": []}, {"apiKeyHeader": []}]


class AnyKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.api.authentication.AnyKeyAuthentication"
    name = "ownKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key with any scope, of a service account too: for what concerns that key.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.api.authentication.BrowserSession"
    name = "browserSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "Whoever signed in. What changes something needs X-CSRFToken.",
        }


def close_what_is_taken(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """Say of every body that it takes the declared members and no other, and which texts it takes; see Taken and Text."""
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        if name in Taken.names:
            schema["additionalProperties"] = False
            for member in schema.get("properties", {}).values():
                _describe_text(member.get("items", member))
    _drop_marks(result)
    return result


def _describe_text(schema: dict[str, Any]) -> None:
    """A text that may not be empty is no mere space either, and none holds what PostgreSQL cannot keep."""
    if schema.get("type") == "string" and not {"format", "enum", "pattern"} & schema.keys():
        schema["pattern"] = _SOMETHING if schema.get("minLength") else _ANYTHING


def _drop_marks(part: Any) -> None:
    """Take out what the library writes for itself."""
    if isinstance(part, dict):
        part.pop("x-spec-enum-id", None)
    for inner in part.values() if isinstance(part, dict) else part:
        if isinstance(inner, dict | list):
            _drop_marks(inner)
