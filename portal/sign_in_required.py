"""Pages want a signed-in person unless they stand on this short list, each kind of which has its reason."""

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase

from portal.before_views import BeforeViews

# The way in. The second step knows who has given the right password, and leads everybody else to the first.
ENTRY = frozenset(
    {"home", "sign-in", "sign-in-passkey", "second-factor", "sign-on", "password-forgotten"}
)
# Where an identity provider leads back to, and where it is told of that.
PROVIDERS_ANSWERS = frozenset(
    {"sign-on-answer", "sign-on-saml", "sign-on-callback", "sign-on-metadata"}
)
# They open to whoever holds a link's token.
MAILED_LINKS = frozenset({"password-reset", "invitation"})
# Clients prove themselves at the first four; the rest tells what everybody may know of the authorization server.
OAUTH_PROTOCOL = frozenset(
    {
        "oauth-token",
        "oauth-revoke",
        "oauth-introspect",
        "oauth-device-authorization",
        "oauth-server-metadata",
        "oauth-resource-metadata",
        "oauth-resource-metadata-of",
        "oauth-jwks",
    }
)
HEALTH = frozenset({"health-live", "health-ready"})
# GitHub proves itself here by a signature. It is not there until a setting says whose.
SIGNED_REPORTS = frozenset({"leaks-github"})
PUBLIC_VIEWS = ENTRY | PROVIDERS_ANSWERS | MAILED_LINKS | OAUTH_PROTOCOL | HEALTH | SIGNED_REPORTS


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
