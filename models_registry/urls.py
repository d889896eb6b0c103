"""The pages of the catalogue and of asking for access."""

from django.urls import URLPattern, URLResolver, path

from models_registry.pages import catalogue, requests

urlpatterns: list[URLPattern | URLResolver] = [
    path("models/", catalogue.catalogue, name="catalogue"),
    path("models/<path:name>/ask/", catalogue.ask, name="ask"),
    path("models/<path:name>/", catalogue.model_page, name="model"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<uuid:request_id>/", requests.request_page, name="request"),
    path("requests/<uuid:request_id>/comment/", requests.comment, name="request-comment"),
    path("requests/<uuid:request_id>/withdraw/", requests.withdraw, name="request-withdraw"),
]
