"""Django's settings, all from the environment (docs/settings.md). Every fault is reported at once, by name."""

from pathlib import Path

from csp.constants import NONCE

from portal.lib.database_url import django_database, user_of
from portal.lib.env import Environment
from portal.lib.logs import logging_config
from portal.lib.mail_url import NO_MAIL, Kept, MailServer, parse_mail_url, parse_sender
from portal.lib.networks import NetworkPolicy
from portal.lib.origin import https_url
from portal.lib.store_url import store_place

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# --- Secrets: empty, default or short ones stop the start -----------------------------------------------------------
SECRET_KEY = env.secret(
    "LATCHKEY_SECRET_KEY", accepts="a random text of at least 50 characters", min_length=50
)
LATCHKEY_KEY_PEPPERS = env.keys(
    "LATCHKEY_KEY_PEPPERS", accepts="id:hex[,id:hex…], 32 random bytes each, the current one first"
)
LATCHKEY_SEALING_KEYS = env.keys(
    "LATCHKEY_SEALING_KEYS", accepts="id:hex[,id:hex…], 32 random bytes each, the current one first"
)

# --- PostgreSQL -----------------------------------------------------------------------------------------------------
LATCHKEY_DATABASE_URL = env.database_url(
    "LATCHKEY_DATABASE_URL",
    accepts="postgresql://role:password@host:port/database, the application's role",
)
LATCHKEY_DATABASE_LISTEN_URL = env.database_url(
    "LATCHKEY_DATABASE_LISTEN_URL",
    accepts="the same database reached directly, where a pooler stands between",
    default=LATCHKEY_DATABASE_URL,
)
_MIGRATOR_URL = env.database_url(
    "LATCHKEY_DATABASE_MIGRATOR_URL",
    accepts="the same database as the role that owns the tables, given to `migrate` alone",
    default="",
)
LATCHKEY_APPLICATION_ROLE = user_of(LATCHKEY_DATABASE_URL)
DATABASES = {"default": django_database(LATCHKEY_DATABASE_URL, is_pooled=True)}
if _MIGRATOR_URL:
    DATABASES["migrator"] = django_database(_MIGRATOR_URL)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Valkey: three URLs, because clearing a cache flushes a whole database -------------------------------------------
CELERY_BROKER_URL = env.store_url("LATCHKEY_BROKER_URL", accepts="redis:// or unix:// URL for jobs")
_CACHE_URL = env.store_url("LATCHKEY_CACHE_URL", accepts="redis:// or unix:// URL for the cache")
LATCHKEY_LIMITS_URL = env.store_url(
    "LATCHKEY_LIMITS_URL", accepts="redis:// or unix:// URL for limits (noeviction, one primary)"
)
_STORES = [store_place(url) for url in (CELERY_BROKER_URL, _CACHE_URL, LATCHKEY_LIMITS_URL) if url]
if len(set(_STORES)) < len(_STORES):
    env.faults.append(
        "LATCHKEY_BROKER_URL, LATCHKEY_CACHE_URL and LATCHKEY_LIMITS_URL: two of them are one database. "
        "Clearing the cache would clear the other: give each its own."
    )
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _CACHE_URL}
}

# --- Where it stands ------------------------------------------------------------------------------------------------
LATCHKEY_BASE_URL = env.base_url(
    "LATCHKEY_BASE_URL",
    accepts="the address people and applications use, such as https://models.corp",
)
ALLOWED_HOSTS = list(
    env.names("LATCHKEY_ALLOWED_HOSTS", accepts="a comma list of host names answered to")
)
if "*" in ALLOWED_HOSTS:
    env.faults.append("LATCHKEY_ALLOWED_HOSTS: * would answer to any name. Name the hosts.")
LATCHKEY_TRUSTED_HOPS = env.whole(
    "LATCHKEY_TRUSTED_HOPS",
    accepts="the number of proxies of yours in front that append to X-Forwarded-For",
    default=0,
    minimum=0,
)
LATCHKEY_PROVIDER_NETWORKS = env.read(
    "LATCHKEY_PROVIDER_NETWORKS",
    NetworkPolicy.parse,
    accepts="a comma list of CIDRs where providers may stand, and the word public",
    default="public",
    fallback=NetworkPolicy.parse("public"),
)
LATCHKEY_ISSUER_NETWORKS = env.read(
    "LATCHKEY_ISSUER_NETWORKS",
    NetworkPolicy.parse,
    accepts="a comma list of CIDRs where issuers of workloads' tokens may stand, and the word public",
    default="public",
    fallback=NetworkPolicy.parse("public"),
)
LATCHKEY_GITHUB_KEYS_URL = env.read(
    "LATCHKEY_GITHUB_KEYS_URL",
    https_url,
    accepts="empty, or the https:// address of GitHub's public keys for secret scanning",
    default="",
    fallback="",
)
LATCHKEY_LEAKED_KEYS = env.choice("LATCHKEY_LEAKED_KEYS", ("revoke", "flag"), default="revoke")
LATCHKEY_WEBHOOK_NETWORKS = env.read(
    "LATCHKEY_WEBHOOK_NETWORKS",
    NetworkPolicy.parse,
    accepts="a comma list of CIDRs where receivers of teams' webhooks may stand, and the word public",
    default="public",
    fallback=NetworkPolicy.parse("public"),
)
LATCHKEY_DEMONSTRATION = env.flag(
    "LATCHKEY_DEMONSTRATION", accepts="1 where `make run` runs it, which pages then say"
)

# --- Mail -----------------------------------------------------------------------------------------------------------
LATCHKEY_EMAIL_URL = env.read(
    "LATCHKEY_EMAIL_URL",
    parse_mail_url,
    accepts="smtp://user:password@host:587?tls=starttls, smtps://user:password@host, or none",
    default=Kept.NONE,
    fallback=NO_MAIL,
)
LATCHKEY_EMAIL_FROM = env.read(
    "LATCHKEY_EMAIL_FROM",
    parse_sender,
    accepts="the sender, such as Latchkey <latchkey@models.corp>",
    default="",
    fallback=None,
)
if isinstance(LATCHKEY_EMAIL_URL, MailServer) and LATCHKEY_EMAIL_FROM is None:
    env.faults.append("LATCHKEY_EMAIL_FROM: it is not set, and LATCHKEY_EMAIL_URL names a server.")
if LATCHKEY_EMAIL_URL is Kept.CAUGHT and not LATCHKEY_DEMONSTRATION:
    env.faults.append(
        "LATCHKEY_EMAIL_URL: caught is for a demonstration. It lets administrators read the links of others."
    )

# --- One inference call ---------------------------------------------------------------------------------------------
LATCHKEY_MAX_BODY_BYTES = env.size_bytes(
    "LATCHKEY_MAX_BODY_BYTES", accepts="the largest request body, such as 8MiB", default="8MiB"
)
LATCHKEY_BODY_ROOM_BYTES = env.size_bytes(
    "LATCHKEY_BODY_ROOM_BYTES",
    accepts="what bodies that are still arriving may take up in one process, such as 512MiB",
    default="512MiB",
)
LATCHKEY_BODY_TIMEOUT_S = env.number(
    "LATCHKEY_BODY_TIMEOUT_S",
    accepts="seconds for a request's whole body to arrive",
    default=30,
    minimum=0.05,
)
LATCHKEY_MAX_ANSWER_BYTES = env.size_bytes(
    "LATCHKEY_MAX_ANSWER_BYTES",
    accepts="the largest answer of an upstream, such as 32MiB",
    default="32MiB",
)
LATCHKEY_CONNECT_TIMEOUT_S = env.number(
    "LATCHKEY_CONNECT_TIMEOUT_S", accepts="seconds to reach an upstream", default=2, minimum=0.05
)
LATCHKEY_FIRST_BYTE_TIMEOUT_S = env.number(
    "LATCHKEY_FIRST_BYTE_TIMEOUT_S",
    accepts="seconds until an upstream's first byte",
    default=30,
    minimum=0.05,
)
LATCHKEY_IDLE_TIMEOUT_S = env.number(
    "LATCHKEY_IDLE_TIMEOUT_S",
    accepts="seconds an upstream may pause within an answer",
    default=60,
    minimum=0.05,
)
LATCHKEY_TOTAL_TIMEOUT_S = env.number(
    "LATCHKEY_TOTAL_TIMEOUT_S", accepts="seconds for a whole answer", default=600, minimum=0.05
)
LATCHKEY_WRITE_TIMEOUT_S = env.number(
    "LATCHKEY_WRITE_TIMEOUT_S",
    accepts="seconds a caller may leave an answer unread before its call is ended",
    default=60,
    minimum=0.05,
)
LATCHKEY_DRAIN_S = env.number(
    "LATCHKEY_DRAIN_S",
    accepts="seconds that running calls get when the process is told to stop",
    default=20,
    minimum=0,
)
LATCHKEY_UPSTREAM_CONNECTIONS = env.whole(
    "LATCHKEY_UPSTREAM_CONNECTIONS",
    accepts="connections of one process to one upstream at once",
    default=2000,
    minimum=1,
)
LATCHKEY_IDENTITY_GRACE_S = env.number(
    "LATCHKEY_IDENTITY_GRACE_S",
    accepts="seconds a gateway cut off from PostgreSQL goes on with the callers it knows",
    default=60,
    minimum=0,
)
LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE = env.whole(
    "LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE",
    accepts="calls a minute of a key that names no limit",
    default=600,
    minimum=1,
)
# What is done with a class of limits while their store cannot be asked.
_WITHOUT_STORE = ("refuse", "spend-borrowed")
LATCHKEY_BUDGETS_WITHOUT_STORE = env.choice(
    "LATCHKEY_BUDGETS_WITHOUT_STORE", _WITHOUT_STORE, default="refuse"
)
LATCHKEY_RATES_WITHOUT_STORE = env.choice(
    "LATCHKEY_RATES_WITHOUT_STORE", _WITHOUT_STORE, default="spend-borrowed"
)
LATCHKEY_DEFAULT_TOKENS_PER_MINUTE = env.whole(
    "LATCHKEY_DEFAULT_TOKENS_PER_MINUTE",
    accepts="tokens a minute of a key that names no limit",
    default=1_000_000,
    minimum=1,
)

# --- People ---------------------------------------------------------------------------------------------------------
LATCHKEY_STAFF_SECOND_FACTOR = env.choice(
    "LATCHKEY_STAFF_SECOND_FACTOR", ("required", "optional"), default="required"
)
LATCHKEY_RECENT_PROOF_S = env.whole(
    "LATCHKEY_RECENT_PROOF_S",
    accepts="seconds for which a proof of who is signed in counts as recent",
    default=600,
    minimum=60,
)

# --- Management API -------------------------------------------------------------------------------------------------
LATCHKEY_API_REQUESTS_PER_MINUTE = env.whole(
    "LATCHKEY_API_REQUESTS_PER_MINUTE",
    accepts="requests a minute that one key or person may send to the management API",
    default=600,
    minimum=1,
)

# --- Journal --------------------------------------------------------------------------------------------------------
LATCHKEY_JOURNAL_DIR = Path(
    env.text("LATCHKEY_JOURNAL_DIR", accepts="a local directory that outlives the process")
)
LATCHKEY_JOURNAL_SEGMENT_BYTES = env.size_bytes(
    "LATCHKEY_JOURNAL_SEGMENT_BYTES", accepts="the size of one segment", default="16MiB"
)
LATCHKEY_JOURNAL_MAX_BYTES = env.size_bytes(
    "LATCHKEY_JOURNAL_MAX_BYTES",
    accepts="what all journals in the directory may take up before calls are refused",
    default="2GiB",
)
LATCHKEY_JOURNAL_SYNC = env.choice(
    "LATCHKEY_JOURNAL_SYNC", ("never", "interval", "each"), default="never"
)

# --- Ledger ---------------------------------------------------------------------------------------------------------
LATCHKEY_LEDGER_KEEP_MONTHS = env.whole(
    "LATCHKEY_LEDGER_KEEP_MONTHS",
    accepts="the whole months of calls kept besides the current one, or 0 for all",
    default=24,
    minimum=0,
)

# --- Keys -----------------------------------------------------------------------------------------------------------
LATCHKEY_IDLE_KEY_DAYS = env.days_by_class(
    "LATCHKEY_IDLE_KEY_DAYS",
    accepts="days, days by class of data such as confidential=90, secret=30, or never",
    default="90",
)
LATCHKEY_KEY_MAX_AGE_DAYS = env.days_by_class(
    "LATCHKEY_KEY_MAX_AGE_DAYS",
    accepts="days, days by class of data such as confidential=90, secret=30, or never",
    default="never",
)
LATCHKEY_IDLE_KEY_REMOVE_DAYS = env.whole(
    "LATCHKEY_IDLE_KEY_REMOVE_DAYS",
    accepts="the days after which a key that was disabled as idle is revoked, or 0 for never",
    default=30,
    minimum=0,
)

# --- Logs -----------------------------------------------------------------------------------------------------------
LOGGING = logging_config(
    env.choice("LATCHKEY_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")
)
LATCHKEY_CALL_LOG = env.choice("LATCHKEY_CALL_LOG", ("all", "failures", "none"), default="failures")

env.refuse_faults()

# --- Django ---------------------------------------------------------------------------------------------------------
DEBUG = False
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
AUTH_USER_MODEL = "accounts.User"
INSTALLED_APPS = [
    # Before Django's admin, whose templates it replaces. Its own configuration would set up a site of its own.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "portal.apps.PortalAdminConfig",
    # Before Django's accounts: of two commands of one name the first one's counts.
    "accounts",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "oauth2_provider",
    "models_registry",
    "proxy",
    "portal.apps.PortalConfig",
]
# All its models are swapped for ours, so its migrations change no table; they took half of what migrating takes.
MIGRATION_MODULES = {"oauth2_provider": None}
MIDDLEWARE = [
    "portal.connections.Connections",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "portal.request_ids.RequestIds",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.sign_in_required.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "portal.staff_second_factor.StaffSecondFactor",
    "portal.recent_proof_required.RecentProofRequired",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        # The admin's own; ours stand before them.
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "portal.page_context.page_context",
            ],
        },
    },
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served from where they lie: there is nothing to collect, and nothing to forget at an upgrade.
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- People and pages -----------------------------------------------------------------------------------------------
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "accounts.signing_in.known_passwords.KnownPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
PASSWORD_RESET_TIMEOUT = 60 * 60
_SECURE = LATCHKEY_BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = _SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_SECURE = _SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [LATCHKEY_BASE_URL]
SECURE_HSTS_SECONDS = 31_536_000 if _SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _SECURE
SECURE_HSTS_PRELOAD = _SECURE
SECURE_SSL_REDIRECT = _SECURE
# Probes come without TLS, and an orchestrator takes a redirect for health.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if _SECURE and LATCHKEY_TRUSTED_HOPS else None
)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        # A nonce is made where a page asks for one: the admin's theme does.
        "style-src": ["'self'", NONCE],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", NONCE],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
# allauth carries a sign-in through its steps. Its pages, mails and counts are not used: each has one place here.
ACCOUNT_ADAPTER = "accounts.signing_in.adapter.SignInAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = False
MFA_ADAPTER = "accounts.signing_in.factor_adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODE_DIGITS = 12
MFA_TOTP_ISSUER = "Latchkey"
CSRF_FAILURE_VIEW = "portal.pages.errors.forged"
RATELIMIT_USE_CACHE = "default"
RATELIMIT_FAIL_OPEN = False
SILENCED_SYSTEM_CHECKS = [
    # django-ratelimit does not know Django's own Redis backend by name; its increments are atomic.
    "django_ratelimit.W001",
]

# --- Admin: its colours stand in static/latchkey-admin.css -----------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Latchkey admin",
    "SITE_HEADER": "Latchkey",
    "SITE_ICON": f"{STATIC_URL}latchkey.svg",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}latchkey.svg"}
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "portal.admin_navigation.navigation"},
}

# --- REST and OAuth2 ------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["portal.deny.DenyAll"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.problems.answer_problem",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Latchkey",
    "VERSION": "1",
    "DESCRIPTION": "Everything that the portal does for a member and the admin for an administrator, and the calls of models.",
    # Whoever serves it says who may read it; this closes the library's own default, which is everybody.
    "SERVE_PERMISSIONS": ["portal.deny.DenyAll"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Without null a service on the internet would be asked whether the document is valid.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "displayOperationId": True},
    "TAGS": [
        {"name": name}
        for name in (
            "inference",
            "me",
            "teams",
            "members",
            "invitations",
            "service-accounts",
            "oauth-clients",
            "issuers",
            "webhooks",
            "trust-rules",
            "team-roles",
            "models",
            "requests",
            "grants",
            "keys",
            "limits",
            "usage",
            "calls",
            "admin",
        )
    ],
    "SCHEMA_PATH_PREFIX": "/(?:api/)?v1",
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["accounts.api.document.close_what_is_taken"],
    "PATH_CONVERTER_OVERRIDES": {
        "row": {"type": "integer", "minimum": 1},
        "slug": {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"},
        "model_name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}$"},
    },
}
OAUTH2_PROVIDER_APPLICATION_MODEL = "accounts.OAuthApplication"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "accounts.OAuthAccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "accounts.OAuthRefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "accounts.OAuthIdToken"
OAUTH2_PROVIDER_GRANT_MODEL = "accounts.OAuthGrant"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "accounts.OAuthDeviceGrant"
OAUTH2_PROVIDER = {
    "PKCE_REQUIRED": True,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 900,
    # A public client may be answered on loopback as well: accounts/models/oauth.py holds each redirect to that.
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    # Since it was last used.
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 24 * 60 * 60,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "OAUTH2_VALIDATOR_CLASS": "accounts.oauth.validator.Validator",
    "OAUTH2_BACKEND_CLASS": "accounts.oauth.backend.Backend",
    "SCOPES_BACKEND_CLASS": "accounts.oauth.scopes.ClientScopes",
    "SCOPES": {"chat": "", "embeddings": "", "manage": "", "administer": ""},
    "ACCESS_TOKEN_GENERATOR": "accounts.oauth.validator.make_token",
    "REFRESH_TOKEN_GENERATOR": "accounts.oauth.secrets.make_refresh_token",
    "OAUTH_PRE_TOKEN_VALIDATION": [],
    # The issuer, which the library names in authorization responses; OpenID Connect itself stays off.
    "OIDC_ISS_ENDPOINT": LATCHKEY_BASE_URL,
    # Every gate of RFC 9700 is off by default in this library.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}

# --- Celery ---------------------------------------------------------------------------------------------------------
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A page that wakes a worker goes on at once where the broker is away; by default it would wait for six seconds.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "max_retries": 0,
    "interval_start": 0,
    "socket_connect_timeout": 1,
}
CELERY_BEAT_SCHEDULE = {
    "make-partitions": {"task": "proxy.tasks.make_partitions", "schedule": 6 * 60 * 60},
    "drop-partitions": {"task": "proxy.tasks.drop_partitions", "schedule": 6 * 60 * 60},
    "open-closed-periods": {"task": "proxy.tasks.open_closed_periods", "schedule": 60},
    "book-unattributed-use": {"task": "proxy.tasks.book_unattributed_use", "schedule": 5 * 60},
    "count-usage": {"task": "proxy.tasks.count_usage", "schedule": 60},
    "send-mail": {"task": "accounts.mail.task.send_due_mail", "schedule": 30},
    "deliver-webhooks": {"task": "accounts.webhooks.task.deliver_webhooks", "schedule": 30},
    "gather-digests": {"task": "accounts.tasks.gather_digests", "schedule": 10 * 60},
    "rotate-due-keys": {"task": "models_registry.tasks.rotate_due", "schedule": 10 * 60},
    "look-for-idle-keys": {"task": "models_registry.tasks.look_for_idle", "schedule": 60 * 60},
    "remind-of-keys": {"task": "accounts.tasks.remind_of_keys", "schedule": 60 * 60},
    "remind-of-grants": {"task": "models_registry.tasks.remind_of_grants", "schedule": 60 * 60},
    "carry-on-requests": {
        "task": "models_registry.tasks.carry_on_requests",
        "schedule": 5 * 60,
    },
    "alert-of-limits": {"task": "models_registry.tasks.alert_of_limits", "schedule": 60},
    "fetch-github-keys": {"task": "accounts.tasks.fetch_github_keys", "schedule": 15 * 60},
    "fetch-issuer-keys": {"task": "accounts.tasks.fetch_issuer_keys", "schedule": 15},
    "forget-changes": {"task": "accounts.tasks.forget_changes", "schedule": 10 * 60},
    "rotate-signing-keys": {"task": "accounts.tasks.rotate_keys", "schedule": 60 * 60},
    "forget-tokens": {"task": "accounts.tasks.forget_tokens", "schedule": 10 * 60},
    "forget-replies": {"task": "accounts.tasks.forget_replies", "schedule": 60 * 60},
}
