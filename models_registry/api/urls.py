"""The management API of models, grants and keys, below /api/v1/."""

from django.urls import path

from models_registry.api import (
    administration,
    converters,  # noqa: F401 - registers what stands in the addresses.
    hand_over,
    key_rotation,
    keys,
    limits,
    models,
    policies,
    providers,
    requests,
    rights,
)

urlpatterns = [
    path("models", models.Models.as_view(), name="models"),
    path("models/<model_name:name>", models.ModelView.as_view(), name="model"),
    path("grants", models.Grants.as_view(), name="grants"),
    path("keys", keys.Keys.as_view(), name="keys"),
    path("keys/<uuid:key>", keys.KeyView.as_view(), name="key"),
    path("keys/<uuid:key>/revoke", keys.RevokeKey.as_view(), name="revoke-key"),
    path("keys/<uuid:key>/rotation", key_rotation.KeyRotation.as_view(), name="key-rotation"),
    path("keys/hand-over", hand_over.HandOverView.as_view(), name="hand-over"),
    path("keys/<uuid:key>/enable", keys.EnableKey.as_view(), name="enable-key"),
    path("keys/<uuid:key>/rotate", key_rotation.RotateKey.as_view(), name="rotate-key"),
    path(
        "keys/<uuid:key>/end-old-secret",
        key_rotation.EndOldSecret.as_view(),
        name="end-old-secret",
    ),
    path("keys/<uuid:key>/models", keys.KeyModels.as_view(), name="key-models"),
    path("keys/<uuid:key>/limits", limits.KeyLimits.as_view(), name="key-limits"),
    path("limits", limits.Limits.as_view(), name="limits"),
    path("limits/<uuid:limit>", limits.LimitView.as_view(), name="limit"),
    path("requests", requests.Requests.as_view(), name="requests"),
    path("requests/<uuid:access>", requests.RequestView.as_view(), name="request"),
    path(
        "requests/<uuid:access>/comments",
        requests.RequestComments.as_view(),
        name="request-comments",
    ),
    path(
        "requests/<uuid:access>/withdraw",
        requests.WithdrawRequest.as_view(),
        name="withdraw-request",
    ),
    path("admin/requests", requests.Queue.as_view(), name="queue"),
    path("admin/requests/<uuid:access>", requests.QueuedRequest.as_view(), name="queued-request"),
    path(
        "admin/requests/<uuid:access>/comments",
        requests.QueuedComments.as_view(),
        name="queued-comments",
    ),
    path(
        "admin/requests/<uuid:access>/approve",
        requests.ApproveRequest.as_view(),
        name="approve-request",
    ),
    path("admin/requests/<uuid:access>/deny", requests.DenyRequest.as_view(), name="deny-request"),
    path("admin/approval-policies", policies.Policies.as_view(), name="policies"),
    path("admin/approval-policies/<uuid:policy>", policies.PolicyView.as_view(), name="policy"),
    path(
        "admin/approval-policies/<uuid:policy>/versions",
        policies.PolicyVersions.as_view(),
        name="policy-versions",
    ),
    path(
        "admin/approval-policies/<uuid:policy>/switch",
        policies.SwitchPolicy.as_view(),
        name="switch-policy",
    ),
    path(
        "admin/approval-policies/<uuid:policy>/trial",
        policies.PolicyTrial.as_view(),
        name="policy-trial",
    ),
    path("admin/providers", providers.Providers.as_view(), name="providers"),
    path("admin/providers/<uuid:provider>", providers.ProviderView.as_view(), name="provider"),
    path(
        "admin/providers/<uuid:provider>/test",
        providers.TestProvider.as_view(),
        name="test-provider",
    ),
    path("admin/models", administration.AllModels.as_view(), name="all-models"),
    path("admin/models/<uuid:model>", administration.AnyModelView.as_view(), name="any-model"),
    path(
        "admin/models/<uuid:model>/status",
        administration.ModelStatusView.as_view(),
        name="model-status",
    ),
    path(
        "admin/models/<uuid:model>/deployments",
        administration.Deployments.as_view(),
        name="deployments",
    ),
    path(
        "admin/deployments/<uuid:deployment>",
        administration.DeploymentView.as_view(),
        name="deployment",
    ),
    path("admin/grants", rights.AllGrants.as_view(), name="all-grants"),
    path("admin/grants/<uuid:grant>/end", rights.EndGrant.as_view(), name="end-grant"),
    path("admin/limits", limits.AllLimits.as_view(), name="all-limits"),
    path("admin/limits/<uuid:limit>", limits.AnyLimitView.as_view(), name="any-limit"),
    path(
        "admin/limits/<uuid:limit>/propose-removal",
        limits.ProposeRemoval.as_view(),
        name="propose-limit-removal",
    ),
    path("admin/keys", rights.AllKeys.as_view(), name="all-keys"),
    path("admin/keys/<uuid:key>/revoke", rights.RevokeAnyKey.as_view(), name="revoke-any-key"),
]
