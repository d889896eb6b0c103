"""Access requests, providers, models and grants in the admin."""

from models_registry.admin import deployments, grants, models, providers, requests

__all__ = ["deployments", "grants", "models", "providers", "requests"]
