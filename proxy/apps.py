from django.apps import AppConfig


class ProxyConfig(AppConfig):
    """Tells the registry how to ask about usage when Django starts."""

    name = "proxy"
    verbose_name = "Calls"

    def ready(self) -> None:
        from models_registry.usage_source import (  # noqa: PLC0415 - models exist only once apps are loaded.
            answer_with,
        )
        from proxy.usage.of_team import (  # noqa: PLC0415 - as above.
            use_by_model,
        )

        answer_with(use_by_model)
