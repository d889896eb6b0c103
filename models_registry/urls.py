"""The pages of the catalogue and of asking for access."""

from django.urls import URLPattern, URLResolver, path

from models_registry.pages import catalogue, requests

urlpatterns: list[URLPattern | URLResolver] = [
    path("models/", catalogue.catalogue, name="catalogue"),
    # A model's name may hold slashes, so nothing follows it: `x/ask` is a name like any other.
    path("models/<path:name>/", catalogue.model_page, name="model"),
    path("ask/<path:name>/", catalogue.ask, name="ask"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<uuid:request_id>/", requests.request_page, name="request"),
    path("requests/<uuid:request_id>/comment/", requests.comment, name="request-comment"),
    path("requests/<uuid:request_id>/withdraw/", requests.withdraw, name="request-withdraw"),
]
