"""The management API of models, grants and keys, below /api/v1/."""

from django.urls import path, register_converter

from models_registry.api import keys, models
from models_registry.api.converters import ModelName

register_converter(ModelName, "model")

urlpatterns = [
    path("models", models.Models.as_view(), name="models"),
    path("models/<model:name>", models.ModelView.as_view(), name="model"),
    path("grants", models.Grants.as_view(), name="grants"),
    path("keys", keys.Keys.as_view(), name="keys"),
    path("keys/<uuid:key>", keys.KeyView.as_view(), name="key"),
    path("keys/<uuid:key>/revoke", keys.RevokeKey.as_view(), name="revoke-key"),
    path("keys/<uuid:key>/models", keys.KeyModels.as_view(), name="key-models"),
]
