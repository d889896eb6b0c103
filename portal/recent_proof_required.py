"""Where it has to be proven anew that it is still whoever signed in: before secrets are shown and rights change."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.signing_in.recent_proof import proved_recently
from portal.before_views import BeforeViews
from portal.lib.clock import utc_now

# Asked for when the page is opened, as its form shows a secret, or is long.
PROOF_TO_OPEN = frozenset(
    {"key-new", "key-rotate", "authenticator-app", "passkey-add", "oauth-authorize", "oauth-device"}
)
# Asked for when something is sent.
PROOF_TO_SEND = PROOF_TO_OPEN | {
    "factor-remove",
    "recovery-codes",
    "team",
    "member",
    "member-remove",
    "team-settings",
    "team-service-accounts",
    "service-account-disable",
    "service-account-enable",
    "team-oauth-clients",
    "oauth-client-disable",
    "oauth-client-enable",
    "oauth-client-secret",
    "oauth-client-remove",
    "key-bounds",
    "request-agree",
    "request-deny",
    "delegate",
    "key-enable",
    "key-rotation-set",
    "service-account-bounds",
    "team-limits",
    "team-webhooks",
    "webhook-remove",
    "team-trust-rules",
    "trust-rule-change",
    "trust-rule-disable",
    "trust-rule-enable",
    "team-limit",
    "team-limit-remove",
    "team-role",
    "team-role-remove",
    "team-roles",
}
# Everything that is sent in the admin changes rights, registers something or reads what was caught.
ADMIN = "admin"
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


class RecentProofRequired(BeforeViews):
    """One door for all of them: a request without a recent proof is led to the page that asks for it."""

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> HttpResponseBase | None:
        if not request.user.is_authenticated or not _is_listed(request):
            return None
        if proved_recently(request, now=utc_now()):
            return None
        if request.method not in _SAFE:
            messages.warning(
                request,
                _("Nothing was changed yet. Prove that it is still you, and send it again."),
            )
        query = QueryDict(mutable=True)
        query["next"] = request.get_full_path() if request.method in _SAFE else _page_of(request)
        return HttpResponseRedirect(f"{reverse('prove')}?{query.urlencode(safe='/')}")


def _is_listed(request: HttpRequest) -> bool:
    match = request.resolver_match
    if match is None:
        return False
    if request.method in _SAFE:
        return match.view_name in PROOF_TO_OPEN
    return match.view_name in PROOF_TO_SEND or ADMIN in match.namespaces


def _page_of(request: HttpRequest) -> str:
    """The page that a form was sent from; what is sent to an address without a page leads home."""
    return request.META.get("HTTP_REFERER") or request.get_full_path()
