"""Pages want a signed-in person unless they stand on this short list."""

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase

from portal.before_views import BeforeViews

PUBLIC_VIEWS = frozenset(
    {
        "home",
        "sign-in",
        "sign-in-passkey",
        # It knows who has given the right password, and leads everybody else to the first step.
        "second-factor",
        # These lead to an identity provider and back, and tell it where that is.
        "sign-on",
        "sign-on-metadata",
        "sign-on-answer",
        "sign-on-saml",
        "sign-on-callback",
        "password-forgotten",
        # These two open to whoever holds a link's token.
        "password-reset",
        "invitation",
        # Clients prove themselves at these, and the rest tells what everybody may know of the authorization server.
        "oauth-token",
        "oauth-revoke",
        "oauth-introspect",
        "oauth-device-authorization",
        "oauth-server-metadata",
        "oauth-resource-metadata",
        "oauth-resource-metadata-of",
        "oauth-jwks",
        # GitHub proves itself here by a signature. It is not there until a setting says whose.
        "leaks-github",
        "health-live",
        "health-ready",
    }
)


class SignInRequired(BeforeViews):
    """Denies by default: a new page is closed to strangers until someone decides otherwise here."""

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        if match is not None and match.view_name in PUBLIC_VIEWS:
            return None
        if request.user.is_authenticated or refuses_strangers_itself(view):
            return None
        return redirect_to_login(request.get_full_path())


def refuses_strangers_itself(view: object) -> bool:
    """Whether it is a view of an API, which knows keys and answers a stranger in its own form: closed by default, too."""
    return getattr(getattr(view, "cls", None), "refuses_strangers_itself", False)
