"""What the OAuth library asks of us: clients, codes, refresh tokens and what becomes of them.

Each request to the token endpoint runs in one transaction (accounts/oauth/endpoints.py). Codes and refresh tokens are locked
where they are read, so that of any number of parallel uses one alone finds it unused, and every other one a replay.
"""

import datetime
from typing import Any, cast

from oauth2_provider.models import set_token_value
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from accounts.models import (
    OAuthAccessToken,
    OAuthApplication,
    OAuthGrant,
    OAuthRefreshToken,
)
from accounts.oauth.access_tokens import NewToken, make_access_token
from accounts.oauth.backend import PEER
from accounts.oauth.client_authentication import (
    authenticated_client,
    comes_from_its_networks,
    find_client,
    shows_proof,
)
from accounts.oauth.device_grants import answer_poll
from accounts.oauth.issuer import door_of, resource_of, scopes_of
from accounts.oauth.replays import end_family
from accounts.oauth.secrets import digest_of
from accounts.oauth.subjects import (
    Subject,
    allowed_scopes,
    keep_subject,
    may_act_in,
    subject_of,
)
from accounts.ways_in.proven import Door
from portal.lib.clock import utc_now

CODE_LIFE = datetime.timedelta(seconds=60)


class Validator(OAuth2Validator):  # type: ignore[misc]
    """The library's, with clients of teams, one subject to a request, and nothing that is used twice."""

    # --- clients ---

    def client_authentication_required(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """A client without a proof is let by only where it is one that can keep none."""
        if shows_proof(request):
            return True
        client = find_client(request.client_id or "")
        return client is None or not client.is_public

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Whether a client proved itself and, where it asks for itself, came from where its token could be used.

        From elsewhere a stolen secret reads like a wrong one.
        """
        request.client = client = authenticated_client(request)
        if client is None:
            return False
        return request.grant_type != "client_credentials" or comes_from_its_networks(
            client, request.headers[PEER]
        )

    def authenticate_client_id(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        request.client = find_client(client_id)
        return request.client is not None and request.client.is_public

    def _load_application(self, client_id: str, request: Request) -> OAuthApplication | None:
        client = request.client = find_client(client_id)
        return client

    # --- authorization codes ---

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Request, *args: Any, **kwargs: Any
    ) -> None:
        if request.code_challenge_method != "S256":
            raise errors.InvalidRequestError("Use the code_challenge_method S256.", request=request)
        subject = subject_of(request)
        OAuthGrant.objects.create(
            application=request.client,
            user=subject.person,
            team=subject.team,
            code=digest_of(code["code"]),
            expires=utc_now() + CODE_LIFE,
            redirect_uri=request.redirect_uri,
            scope=" ".join(request.scopes),
            code_challenge=request.code_challenge,
            code_challenge_method=request.code_challenge_method,
            resource=request.resource or [],
        )

    def validate_code(
        self,
        client_id: str,
        code: str,
        client: OAuthApplication,
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        """Whether the code is the client's, unused and not over. A second use ends all that came of the first."""
        grant = (
            OAuthGrant.objects.select_for_update(of=("self",))
            .select_related("user", "team")
            .filter(code=code, application=client)
            .first()
        )
        if grant is None:
            return False
        if grant.used_at is not None:
            end_family(grant.family, client=client, team=grant.team)
            return False
        if grant.is_expired() or not may_act_in(grant.user, grant.team):
            return False
        request.user = grant.user
        request.scopes = allowed_scopes(client, grant.user, grant.scope.split())
        keep_subject(request, Subject(grant.user, grant.team, grant.family))
        return bool(request.scopes)

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """Keep the code as used, so that a second use is known for one."""
        OAuthGrant.objects.filter(code=code, application=request.client).update(used_at=utc_now())

    # --- client credentials ---

    def validate_scopes(
        self,
        client_id: str,
        scopes: list[str],
        client: OAuthApplication,
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        """Whether the client may ask for all of them, and where it asks for itself, its service account have them."""
        if request.grant_type == "client_credentials" and client.service_account is not None:
            keep_subject(request, Subject(client.service_account, client.team))
            return bool(scopes) and scopes == allowed_scopes(client, client.service_account, scopes)
        return bool(scopes) and set(scopes) <= set(client.scopes)

    # --- refresh tokens ---

    def validate_refresh_token(
        self,
        refresh_token: str,
        client: OAuthApplication,
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        """Whether it is the client's and was never used. One that was used before ends its whole family (RFC 9700, 4.14)."""
        found = (
            OAuthRefreshToken.objects.select_for_update(of=("self",))
            .select_related("user", "team")
            .filter(token_checksum=digest_of(refresh_token), application=client)
            .order_by("revoked")
            .last()
        )
        if found is None:
            return False
        if found.revoked is not None:
            end_family(found.token_family, client=client, team=found.team)
            return False
        if not super().validate_refresh_token(refresh_token, client, request, *args, **kwargs):
            return False
        if not may_act_in(found.user, found.team):
            return False
        keep_subject(request, Subject(found.user, found.team, found.token_family))
        return True

    def get_original_scopes(
        self, refresh_token: str, request: Request, *args: Any, **kwargs: Any
    ) -> list[str]:
        found = request.refresh_token_instance
        return allowed_scopes(request.client, found.user, found.scope.split())

    # --- passwords ---

    def validate_user(self, *args: Any, **kwargs: Any) -> bool:
        """No password is ever looked at here, however the library came to ask."""
        return False

    # --- devices ---

    def validate_device_code(
        self, client_id: str, device_code: str, request: Request, *args: Any, **kwargs: Any
    ) -> str | None:
        status, grant = answer_poll(device_code, client=request.client)
        if grant is not None and grant.team is not None:
            request.user = grant.user
            request.scopes = allowed_scopes(request.client, grant.user, grant.scope.split())
            keep_subject(request, Subject(grant.user, grant.team))
        return status

    # --- tokens ---

    def settle_audience(self, request: Request) -> list[str]:
        """Return whom the token is for, and leave those scopes that mean something there. Raises: invalid_target."""
        self._check_and_set_request_resource(request)
        doors = [door_of(resource) for resource in request.resource]
        if not doors:
            doors = [door for door in Door if scopes_of(door) & set(request.scopes)]
        open_here = frozenset().union(*(scopes_of(door) for door in doors if door is not None))
        request.scopes = [scope for scope in request.scopes if scope in open_here]
        if None in doors or not request.scopes:
            raise errors.CustomOAuth2Error(
                error="invalid_target",
                description="None of the scopes opens this resource.",
                request=request,
            )
        return [resource_of(door) for door in doors if door is not None]

    def _validate_resource_uris(self, request: Request, resources: list[str]) -> None:
        if any(door_of(resource) is None for resource in resources):
            raise errors.CustomOAuth2Error(
                error="invalid_target", description="There is no such resource.", request=request
            )

    def _save_bearer_token(
        self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any
    ) -> None:
        left = _made(request).expires_at - utc_now()
        token["expires_in"] = max(0, int(left.total_seconds()))
        super()._save_bearer_token(token, request, *args, **kwargs)

    def _create_access_token(
        self,
        expires: datetime.datetime,
        request: Request,
        token: dict[str, Any],
        source_refresh_token: OAuthRefreshToken | None = None,
    ) -> OAuthAccessToken:
        subject, made = subject_of(request), _made(request)
        access_token = OAuthAccessToken(
            jti=made.jti,
            user=subject.person,
            team=subject.team,
            scope=token["scope"],
            expires=made.expires_at,
            application=request.client,
            source_refresh_token=source_refresh_token,
            resource=request.resource or [],
        )
        set_token_value(access_token, token["access_token"])
        access_token.save()
        return access_token

    def _create_refresh_token(
        self,
        request: Request,
        refresh_token_code: str,
        access_token: OAuthAccessToken,
        previous_refresh_token: OAuthRefreshToken | None,
    ) -> OAuthRefreshToken:
        """Keep what was granted at first: asking for less once does not lessen what comes after it."""
        subject, previous = subject_of(request), previous_refresh_token
        refresh_token = OAuthRefreshToken(
            user=subject.person,
            team=subject.team,
            application=request.client,
            access_token=access_token,
            token_family=subject.family or access_token.jti,
            scope=previous.scope if previous else " ".join(_granted(request)),
            resource=previous.resource if previous else request.resource or [],
        )
        set_token_value(refresh_token, refresh_token_code)
        refresh_token.save()
        return refresh_token


def _granted(request: Request) -> list[str]:
    return list(vars(request).get("latchkey_granted", request.scopes))


def _made(request: Request) -> NewToken:
    return cast(NewToken, vars(request)["latchkey_made"])


def make_token(request: Request) -> str:
    """Make the access token of this request: for its subject, and for no other resource than it names."""
    request.latchkey_granted = list(request.scopes)
    audience = Validator().settle_audience(request)
    subject = subject_of(request)
    made = make_access_token(
        request.client.credential_id,
        subject=subject.holder,
        team=subject.team,
        scopes=request.scopes,
        audience=audience,
        ends_at=request.client.expires_at,
        now=utc_now(),
    )
    request.latchkey_made = made
    return made.text
