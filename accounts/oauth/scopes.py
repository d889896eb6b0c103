"""The scopes of tokens are those of keys. What a client may ask for at most is written in its row."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from oauth2_provider.scopes import BaseScopes

from accounts.models import OAuthApplication
from accounts.models.keys import Scope

MEANINGS: dict[str, str | Promise] = {
    Scope.CHAT: _("Call chat models that the team was granted"),
    Scope.EMBEDDINGS: _("Call embedding models that the team was granted"),
    Scope.MANAGE: _("Do in the team whatever you may do there: keys, members, limits, requests"),
    Scope.ADMINISTER: _("Administer the whole portal, as you may"),
}


class ClientScopes(BaseScopes):  # type: ignore[misc]
    """What the library asks about scopes."""

    def get_all_scopes(self) -> dict[str, Any]:
        return dict(MEANINGS)

    def get_available_scopes(
        self, application: OAuthApplication | None = None, request: object = None, **kwargs: Any
    ) -> list[str]:
        return [] if application is None else list(application.scopes)

    def get_default_scopes(
        self, application: OAuthApplication | None = None, request: object = None, **kwargs: Any
    ) -> list[str]:
        """Return all that the client may ask for, but not the right to administer: that is asked for by name."""
        if application is None:
            return []
        return [scope for scope in application.scopes if scope != Scope.ADMINISTER]
