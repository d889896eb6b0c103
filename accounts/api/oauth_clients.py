"""OAuth clients: listed, registered, disabled, enabled, removed, and given another secret, which is answered once.

What could act beyond the credential that asks (a client, its secret, its return) is for whoever signed in.
"""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_oauth_client, access_service_account, access_team
from accounts.api.bounds import Networks
from accounts.api.fields import Choice, DisabledThrough, Flag, Given, Id, Moment, Taken, Text
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.permissions import refuse_credential
from accounts.api.problems import ProblemCode
from accounts.api.views import AdministratorView, ManagementView, done
from accounts.models import OAuthApplication
from accounts.models.keys import Scope
from accounts.roles import PortalRight, Right
from accounts.writes.oauth_clients import (
    KEYS_LENGTH_MAX,
    ClientGrant,
    RegisteredClient,
    disable_client,
    enable_client,
    read_client_keys,
    register_client,
    remove_client,
    replace_client_secret,
)

_MISSING = [ProblemCode.NOT_FOUND]
_EXAMPLE = {
    "name": "Notebook",
    "grant": "authorization-code",
    "scopes": ["chat"],
    "redirect_uris": ["https://notebook.corp.example/callback"],
}


class OAuthClientGiven(Given):
    id = serializers.UUIDField(source="credential_id", help_text="Its client_id.")
    team_id = serializers.UUIDField()
    service_account_id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    grant = serializers.ChoiceField(choices=ClientGrant.values, source="authorization_grant_type")
    is_public = serializers.BooleanField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    redirect_uris = serializers.SerializerMethodField()
    networks = serializers.ListField(child=serializers.CharField())
    has_keys = serializers.SerializerMethodField(
        help_text="Whether it proves itself by a key of its own instead of a secret."
    )
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(allow_null=True)
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_through = DisabledThrough()
    disabled_reason = serializers.CharField()

    def get_redirect_uris(self, client: OAuthApplication) -> list[str]:
        return list(client.redirect_uris.split())

    def get_has_keys(self, client: OAuthApplication) -> bool:
        return bool(client.jwks)


class RegisteredOAuthClientGiven(OAuthClientGiven):
    secret = serializers.CharField(help_text="Shown here and never again; empty without one.")


class NewOAuthClient(Taken):
    name = Text(max_length=100)
    grant = Choice(choices=ClientGrant.choices)
    scopes = serializers.ListField(child=Choice(choices=Scope.choices), max_length=len(Scope))
    service_account_id = Id(required=False, help_text="Whom a client calls for by itself.")
    is_public = Flag(required=False, help_text="It runs where no secret can be kept.")
    redirect_uris = serializers.ListField(child=Text(max_length=500), max_length=10, required=False)
    networks = Networks(required=False)
    jwks = Text(
        max_length=KEYS_LENGTH_MAX,
        required=False,
        help_text="A JWKS as one text: the public keys by which it proves itself instead of by a secret.",
    )
    expires_at = Moment(required=False)

    def validate_jwks(self, text: str) -> list[Any]:
        return read_client_keys(text)


class OAuthClients(ManagementView):
    @operation(
        "list_oauth_clients",
        "List a team's OAuth clients.",
        gives=page_of(OAuthClientGiven, "OAuthClientPageGiven"),
        query=PageQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer the clients of one of your teams, the newest first."""
        found = access_team(self.person, team)
        rows = OAuthApplication.objects.filter(team=found)
        of = f"oauth-clients.{found.pk}"
        return self.page(rows, OAuthClientGiven, by="-credential_id", of=of)

    @operation(
        "register_oauth_client",
        "Register an OAuth client.",
        takes=NewOAuthClient,
        gives=RegisteredOAuthClientGiven,
        status=201,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def post(self, request: Request, team: str) -> Response:
        """Make a client of a team whose keys you manage. Its secret is in this answer and never again.

        A key or token cannot do this: what comes of it would outlive them.
        """
        found = access_team(self.person, team, right=Right.MANAGE_KEYS)
        refuse_credential(request.auth)
        facts: dict[str, Any] = dict(self.taken)
        account = facts.pop("service_account_id", None)
        if account is not None:
            facts["service_account"] = access_service_account(self.person, account)
        facts["grant"] = ClientGrant(facts["grant"])
        facts["scopes"] = [Scope(scope) for scope in facts["scopes"]]
        return _registered(register_client(found, actor=self.actor, **facts), status=201)


class OAuthClientView(ManagementView):
    @operation(
        "get_oauth_client", "Read an OAuth client.", gives=OAuthClientGiven, refuses=_MISSING
    )
    def get(self, request: Request, client: uuid.UUID) -> Response:
        """Answer what is known of a client of one of your teams, its secret excepted."""
        return Response(OAuthClientGiven(access_oauth_client(self.person, client)).data)

    @operation(
        "remove_oauth_client",
        "Remove an OAuth client.",
        gives=None,
        status=204,
        refuses=_MISSING,
    )
    def delete(self, request: Request, client: uuid.UUID) -> Response:
        """Delete it for good with all its tokens, which gateways refuse within a second."""
        found = access_oauth_client(self.person, client, right=Right.MANAGE_KEYS)
        remove_client(found, actor=self.actor)
        return done()


class DisableOAuthClient(ManagementView):
    @operation(
        "disable_oauth_client",
        "Disable an OAuth client.",
        takes=Reason,
        gives=OAuthClientGiven,
        refuses=_MISSING,
        example={"reason": "Its secret was found in a repository."},
    )
    def post(self, request: Request, client: uuid.UUID) -> Response:
        """Give it no more tokens, and end those it has within a second."""
        found = access_oauth_client(self.person, client, right=Right.MANAGE_KEYS)
        reason = self.taken["reason"]
        disable_client(found, actor=self.actor, reason=reason, by_administrator=False)
        return Response(OAuthClientGiven(access_oauth_client(self.person, client)).data)


class EnableOAuthClient(ManagementView):
    @operation(
        "enable_oauth_client", "Enable an OAuth client.", gives=OAuthClientGiven, refuses=_MISSING
    )
    def post(self, request: Request, client: uuid.UUID) -> Response:
        """Let it get tokens again; those it had stay ended. A key or token cannot do this, nor a team what an administrator disabled."""
        found = access_oauth_client(self.person, client, right=Right.MANAGE_KEYS)
        refuse_credential(request.auth)
        enable_client(found, actor=self.actor)
        return Response(OAuthClientGiven(access_oauth_client(self.person, client)).data)


class ReplaceOAuthClientSecret(ManagementView):
    @operation(
        "replace_oauth_client_secret",
        "Replace an OAuth client's secret.",
        gives=RegisteredOAuthClientGiven,
        refuses=_MISSING,
    )
    def post(self, request: Request, client: uuid.UUID) -> Response:
        """Answer another secret, once; the old one is wrong at once. A key or token cannot do this."""
        found = access_oauth_client(self.person, client, right=Right.MANAGE_KEYS)
        refuse_credential(request.auth)
        return _registered(replace_client_secret(found, actor=self.actor), status=200)


class AnyOAuthClientQuery(PageQuery):
    team_id = Id(required=False)


class AllOAuthClients(AdministratorView):
    sees = PortalRight.SEE_PEOPLE

    @operation(
        "list_all_oauth_clients",
        "List every team's OAuth clients.",
        gives=page_of(OAuthClientGiven, "AnyOAuthClientPageGiven"),
        query=AnyOAuthClientQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every client, the newest first; the secret of none."""
        rows = OAuthApplication.objects.all()
        if "team_id" in self.asked:
            rows = rows.filter(team_id=self.asked["team_id"])
        return self.page(rows, OAuthClientGiven, by="-credential_id", of="all-oauth-clients")


class DisableAnyOAuthClient(AdministratorView):
    right = PortalRight.REVOKE_KEYS

    @operation(
        "disable_any_oauth_client",
        "Disable anybody's OAuth client.",
        takes=Reason,
        gives=OAuthClientGiven,
        refuses=_MISSING,
        example={"reason": "Its secret was found in a repository."},
    )
    def post(self, request: Request, client: uuid.UUID) -> Response:
        """Give it no more tokens, and end those it has within a second. Its team cannot enable it again."""
        found = get_object_or_404(OAuthApplication, credential_id=client)
        disable_client(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(OAuthClientGiven(found).data)


class EnableAnyOAuthClient(AdministratorView):
    right = PortalRight.MANAGE_TEAMS

    @operation(
        "enable_any_oauth_client",
        "Enable anybody's OAuth client.",
        gives=OAuthClientGiven,
        refuses=_MISSING,
    )
    def post(self, request: Request, client: uuid.UUID) -> Response:
        """Let it get tokens again, whoever disabled it; those it had stay ended."""
        found = get_object_or_404(OAuthApplication, credential_id=client)
        enable_client(found, actor=self.actor, by_administrator=True)
        found.refresh_from_db()
        return Response(OAuthClientGiven(found).data)


def _registered(registered: RegisteredClient, *, status: int) -> Response:
    facts = OAuthClientGiven(registered.client).data | {"secret": registered.secret}
    return Response(facts, status=status)
