"""Access requests, approval policies, providers, models, grants and limits in the admin."""

from models_registry.admin import (
    deployments,
    grants,
    limits,
    models,
    policies,
    providers,
    requests,
)

__all__ = ["deployments", "grants", "limits", "models", "policies", "providers", "requests"]
