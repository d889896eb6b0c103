from django.apps import AppConfig


class ModelsRegistryConfig(AppConfig):
    """Says which changes of limits and policies take two people when Django starts."""

    name = "models_registry"
    verbose_name = "Models and grants"

    def ready(self) -> None:
        from models_registry.two_person_limits import (  # noqa: PLC0415 - models exist only once apps are loaded.
            plug_in_limits,
        )
        from models_registry.two_person_policies import (  # noqa: PLC0415 - as above.
            plug_in_policies,
        )

        plug_in_limits()
        plug_in_policies()
