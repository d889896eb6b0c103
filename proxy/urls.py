"""The pages of usage and of calls."""

from django.urls import URLPattern, URLResolver, path

from proxy.pages import calls, usage

urlpatterns: list[URLPattern | URLResolver] = [
    path("usage/", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage-csv"),
    path("calls/", calls.calls, name="calls"),
    path("calls/<uuid:call_id>/", calls.call, name="call"),
]
