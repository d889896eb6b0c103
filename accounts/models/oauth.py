"""The OAuth library's models, swapped for ours in the first migration: a later swap would need every row moved."""

from oauth2_provider import models as library


class OAuthApplication(library.AbstractApplication):
    class Meta(library.AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
        verbose_name = "OAuth application"


class OAuthGrant(library.AbstractGrant):
    class Meta(library.AbstractGrant.Meta):
        swappable = "OAUTH2_PROVIDER_GRANT_MODEL"
        verbose_name = "OAuth authorization code"


class OAuthAccessToken(library.AbstractAccessToken):
    class Meta(library.AbstractAccessToken.Meta):
        swappable = "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL"
        verbose_name = "OAuth access token"


class OAuthRefreshToken(library.AbstractRefreshToken):
    class Meta(library.AbstractRefreshToken.Meta):
        swappable = "OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL"
        verbose_name = "OAuth refresh token"


class OAuthIdToken(library.AbstractIDToken):
    class Meta(library.AbstractIDToken.Meta):
        swappable = "OAUTH2_PROVIDER_ID_TOKEN_MODEL"
        verbose_name = "OAuth ID token"


class OAuthDeviceGrant(library.AbstractDeviceGrant):
    class Meta(library.AbstractDeviceGrant.Meta):
        swappable = "OAUTH2_PROVIDER_DEVICE_GRANT_MODEL"
        verbose_name = "OAuth device grant"
