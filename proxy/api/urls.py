"""The management API of usage and calls, below /api/v1/."""

from django.urls import path

from proxy.api import calls, explain, usage

urlpatterns = [
    path("usage", usage.Usage.as_view(), name="usage"),
    path("calls", calls.Calls.as_view(), name="calls"),
    path("calls/<uuid:call>", calls.CallView.as_view(), name="call"),
    path("keys/<uuid:key>/explanation", explain.KeyExplanation.as_view(), name="key-explanation"),
    path(
        "teams/<slug:team>/explanation", explain.TeamExplanation.as_view(), name="team-explanation"
    ),
    path(
        "admin/keys/<uuid:key>/explanation",
        explain.AnyKeyExplanation.as_view(),
        name="any-key-explanation",
    ),
    path(
        "admin/people/<uuid:person>/explanation",
        explain.PersonExplanation.as_view(),
        name="person-explanation",
    ),
    path(
        "admin/service-accounts/<uuid:account>/explanation",
        explain.AccountExplanation.as_view(),
        name="service-account-explanation",
    ),
    path("admin/calls", calls.AllCalls.as_view(), name="all-calls"),
    path("admin/calls/<uuid:call>", calls.AnyCallView.as_view(), name="any-call"),
]
