"""The management API of usage and calls, below /api/v1/."""

from django.urls import path

from proxy.api import calls, usage

urlpatterns = [
    path("usage", usage.Usage.as_view(), name="usage"),
    path("calls", calls.Calls.as_view(), name="calls"),
    path("calls/<uuid:call>", calls.CallView.as_view(), name="call"),
    path("admin/calls", calls.AllCalls.as_view(), name="all-calls"),
    path("admin/calls/<uuid:call>", calls.AnyCallView.as_view(), name="any-call"),
]
