from django.apps import AppConfig


class ProxyConfig(AppConfig):
    """Tells the registry how to ask about usage and limits when Django starts."""

    name = "proxy"
    verbose_name = "Calls"

    def ready(self) -> None:
        from accounts import call_source  # noqa: PLC0415 - models exist only once apps are loaded.
        from models_registry import (  # noqa: PLC0415 - models exist only once apps are loaded.
            limit_openings,
            limit_standings,
            usage_source,
        )
        from proxy.closed_periods import (  # noqa: PLC0415 - as above.
            open_written,
        )
        from proxy.limit_standings import (  # noqa: PLC0415 - as above.
            standings_now,
        )
        from proxy.usage.of_key import (  # noqa: PLC0415 - as above.
            calls_since,
            keys_from,
        )
        from proxy.usage.of_team import (  # noqa: PLC0415 - as above.
            use_by_model,
        )

        call_source.answer_with(calls_since, keys_from)
        usage_source.answer_with(use_by_model)
        limit_standings.answer_with(standings_now)
        limit_openings.open_with(open_written)
