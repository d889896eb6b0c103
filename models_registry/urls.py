"""The pages of the catalogue and of asking for access."""

from django.urls import URLPattern, URLResolver, path

from models_registry.pages import catalogue, delegations, limits, requests

urlpatterns: list[URLPattern | URLResolver] = [
    path("models/", catalogue.catalogue, name="catalogue"),
    # A model's name may hold slashes, so nothing follows it: `x/ask` is a name like any other.
    path("models/<path:name>/", catalogue.model_page, name="model"),
    path("ask/<path:name>/", catalogue.ask, name="ask"),
    path("teams/<slug:slug>/limits/", limits.team_limits, name="team-limits"),
    path("teams/<slug:slug>/limits/<uuid:limit_id>/", limits.team_limit, name="team-limit"),
    path(
        "teams/<slug:slug>/limits/<uuid:limit_id>/remove/",
        limits.team_limit_remove,
        name="team-limit-remove",
    ),
    path("requests/", requests.requests, name="requests"),
    path("requests/delegate/", delegations.delegate, name="delegate"),
    path("requests/delegate/end/", delegations.delegate_end, name="delegate-end"),
    path("requests/<uuid:request_id>/", requests.request_page, name="request"),
    path("requests/<uuid:request_id>/comment/", requests.comment, name="request-comment"),
    path("requests/<uuid:request_id>/agree/", requests.agree, name="request-agree"),
    path("requests/<uuid:request_id>/deny/", requests.deny, name="request-deny"),
    path("requests/<uuid:request_id>/withdraw/", requests.withdraw, name="request-withdraw"),
]
