from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "portal"

    def ready(self) -> None:
        import portal.checks  # noqa: F401, PLC0415 - checks may only be registered once apps are loaded.
