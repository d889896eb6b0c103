"""The form by which a team registers an OAuth client. What a client may not hold, the write refuses."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import ServiceAccount, Team, User
from accounts.models.keys import Scope
from accounts.pages.bounds_fields import EndField, NetworksField
from accounts.roles import is_administrator
from accounts.writes.oauth_clients import (
    KEYS_LENGTH_MAX,
    REDIRECT_LENGTH_MAX,
    REDIRECTS_MAX,
    ClientGrant,
    read_client_keys,
)

_LINES = {"rows": 3, "spellcheck": "false"}
_SCOPES = {
    Scope.CHAT: gettext_lazy("Chat: call chat models."),
    Scope.EMBEDDINGS: gettext_lazy("Embeddings: call embedding models."),
    Scope.MANAGE: gettext_lazy("Manage: act for people at the management API, within their team."),
    Scope.ADMINISTER: gettext_lazy("Administer: act for administrators, for the whole portal."),
}


class ClientForm(forms.Form):
    """A new client."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("People read it when they allow the application."),
    )
    grant = forms.ChoiceField(
        label=gettext_lazy("How does it get tokens?"),
        choices=ClientGrant.choices,
        widget=forms.RadioSelect,
    )
    service_account = forms.ModelChoiceField(
        label=gettext_lazy("Service account"),
        queryset=ServiceAccount.objects.none(),
        required=False,
        help_text=gettext_lazy("For a client that calls by itself."),
    )
    redirect_uris = forms.CharField(
        label=gettext_lazy("Redirect URIs"),
        max_length=REDIRECTS_MAX * (REDIRECT_LENGTH_MAX + 2),
        required=False,
        widget=forms.Textarea(attrs=_LINES | {"placeholder": "https://app.corp.example/callback"}),
        help_text=gettext_lazy("For a client that people allow in a browser. One a line, whole."),
    )
    is_public = forms.BooleanField(
        label=gettext_lazy("It runs where no secret can be kept: in a browser, on a laptop"),
        required=False,
    )
    jwks = forms.CharField(
        label=gettext_lazy("Public keys"),
        max_length=KEYS_LENGTH_MAX,
        required=False,
        widget=forms.Textarea(attrs=_LINES | {"placeholder": '{"keys": […]}'}),
        help_text=gettext_lazy("A JWKS, by which it proves itself instead of by a secret."),
    )
    networks = NetworksField(
        help_text=gettext_lazy(
            "One CIDR a line, from which its tokens may be used. Empty: from anywhere."
        )
    )
    expires_at = EndField()

    def __init__(self, *args: Any, team: Team, person: User, **options: Any) -> None:
        super().__init__(*args, **options)
        accounts = team.service_accounts.filter(disabled_at=None).order_by("name")
        self.fields["service_account"].queryset = accounts  # type: ignore[attr-defined]
        scopes = [scope for scope in Scope if scope != Scope.ADMINISTER or is_administrator(person)]
        self.fields["scopes"] = forms.MultipleChoiceField(
            label=_("What may its tokens do at most?"),
            choices=[(scope.value, _SCOPES[scope]) for scope in scopes],
            initial=[Scope.CHAT.value],
            widget=forms.CheckboxSelectMultiple,
        )

    def clean_jwks(self) -> list[Any]:
        return read_client_keys(self.cleaned_data["jwks"])

    def facts(self) -> dict[str, Any]:
        """What the write takes."""
        given = self.cleaned_data
        return {
            "name": given["name"],
            "grant": ClientGrant(given["grant"]),
            "scopes": [Scope(scope) for scope in given["scopes"]],
            "service_account": given["service_account"],
            "is_public": given["is_public"],
            "redirect_uris": given["redirect_uris"].split(),
            "networks": given["networks"],
            "expires_at": given["expires_at"],
            "jwks": given["jwks"],
        }
