from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers the system checks and the Celery application when Django starts."""

    name = "portal"

    def ready(self) -> None:

        # Tasks that a page sends would go to Celery's own default broker without it.
        import portal.celery  # noqa: PLC0415 - it reads the settings.

        # Checks may only be registered once apps are loaded.
        import portal.checks  # noqa: F401, PLC0415 - see above.
