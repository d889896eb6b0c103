from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Django's admin with the portal's own site."""

    default_site = "portal.admin_site.PortalAdminSite"


class PortalConfig(AppConfig):
    """Registers the system checks and the Celery application when Django starts."""

    name = "portal"

    def ready(self) -> None:

        # Tasks that a page sends would go to Celery's own default broker without it.
        import portal.celery  # noqa: PLC0415 - it reads the settings.

        # Checks may only be registered once apps are loaded.
        import portal.checks  # noqa: F401, PLC0415 - see above.
