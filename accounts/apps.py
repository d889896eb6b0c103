from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Says which changes of roles take two people when Django starts."""

    name = "accounts"
    verbose_name = "People, teams and keys"

    def ready(self) -> None:
        from accounts.two_person_roles import (  # noqa: PLC0415 - models exist only once apps are loaded.
            plug_in_roles,
        )

        plug_in_roles()
