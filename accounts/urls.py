"""The pages of people and teams."""

from django.urls import path

from accounts.leaks import endpoint
from accounts.pages import (
    invitations,
    members,
    notifications,
    oauth_clients,
    passwords,
    prove,
    roles,
    second_factor,
    security,
    service_accounts,
    sign_on,
    teams,
    trust_rules,
    webhooks,
)
from accounts.pages.sign_in import SignIn, SignOut

urlpatterns = [
    path("leaks/github", endpoint.github, name="leaks-github"),
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-in/second-factor/", second_factor.second_factor, name="second-factor"),
    path("sign-in/passkey/", second_factor.sign_in_by_passkey, name="sign-in-passkey"),
    path("sign-in/with/<slug:slug>/", sign_on.sign_on, name="sign-on"),
    path("sign-in/with/<slug:slug>/callback/", sign_on.sign_on_callback, name="sign-on-callback"),
    path("sign-in/with/<slug:slug>/saml/", sign_on.sign_on_saml, name="sign-on-saml"),
    path("sign-in/with/<slug:slug>/metadata/", sign_on.sign_on_metadata, name="sign-on-metadata"),
    path("sign-in/with/<slug:slug>/answer/", sign_on.sign_on_answer, name="sign-on-answer"),
    path("prove/", prove.prove, name="prove"),
    path("security/", security.security, name="security"),
    path("security/app/", security.authenticator_app, name="authenticator-app"),
    path("security/passkeys/", security.passkey_add, name="passkey-add"),
    path("security/factors/<int:factor_id>/remove/", security.factor_remove, name="factor-remove"),
    path("security/recovery-codes/", security.recovery_codes, name="recovery-codes"),
    path("security/sessions/end/", security.sessions_end, name="sessions-end"),
    path("security/sessions/<int:session_id>/end/", security.session_end, name="session-end"),
    path("notifications/", notifications.notifications, name="notifications"),
    path("sign-out/", SignOut.as_view(), name="sign-out"),
    path("password/", passwords.password_change, name="password-change"),
    path("password/forgotten/", passwords.password_forgotten, name="password-forgotten"),
    path(
        "password/reset/<uidb64>/<token>/", passwords.PasswordReset.as_view(), name="password-reset"
    ),
    path("invitations/<token>/", invitations.invitation, name="invitation"),
    path("teams/", teams.teams, name="teams"),
    path("teams/<slug:slug>/", members.team, name="team"),
    path("teams/<slug:slug>/members/<int:membership_id>/", members.member, name="member"),
    path(
        "teams/<slug:slug>/members/<int:membership_id>/remove/",
        members.member_remove,
        name="member-remove",
    ),
    path(
        "teams/<slug:slug>/invitations/<uuid:invitation_id>/withdraw/",
        members.invitation_withdraw,
        name="invitation-withdraw",
    ),
    path(
        "teams/<slug:slug>/service-accounts/",
        service_accounts.service_accounts,
        name="team-service-accounts",
    ),
    path(
        "teams/<slug:slug>/service-accounts/<uuid:account_id>/",
        service_accounts.service_account,
        name="service-account",
    ),
    path(
        "teams/<slug:slug>/service-accounts/<uuid:account_id>/disable/",
        service_accounts.service_account_disable,
        name="service-account-disable",
    ),
    path(
        "teams/<slug:slug>/service-accounts/<uuid:account_id>/enable/",
        service_accounts.service_account_enable,
        name="service-account-enable",
    ),
    path(
        "teams/<slug:slug>/oauth-clients/", oauth_clients.oauth_clients, name="team-oauth-clients"
    ),
    path(
        "teams/<slug:slug>/oauth-clients/<uuid:client_id>/",
        oauth_clients.oauth_client,
        name="oauth-client",
    ),
    path(
        "teams/<slug:slug>/oauth-clients/<uuid:client_id>/disable/",
        oauth_clients.oauth_client_disable,
        name="oauth-client-disable",
    ),
    path(
        "teams/<slug:slug>/oauth-clients/<uuid:client_id>/enable/",
        oauth_clients.oauth_client_enable,
        name="oauth-client-enable",
    ),
    path(
        "teams/<slug:slug>/oauth-clients/<uuid:client_id>/secret/",
        oauth_clients.oauth_client_secret,
        name="oauth-client-secret",
    ),
    path(
        "teams/<slug:slug>/oauth-clients/<uuid:client_id>/remove/",
        oauth_clients.oauth_client_remove,
        name="oauth-client-remove",
    ),
    path("teams/<slug:slug>/workloads/", trust_rules.trust_rules, name="team-trust-rules"),
    path("teams/<slug:slug>/workloads/test/", trust_rules.explain_token, name="team-token-test"),
    path(
        "teams/<slug:slug>/workloads/<uuid:rule_id>/",
        trust_rules.trust_rule,
        name="team-trust-rule",
    ),
    path(
        "teams/<slug:slug>/workloads/<uuid:rule_id>/change/",
        trust_rules.trust_rule_change,
        name="trust-rule-change",
    ),
    path(
        "teams/<slug:slug>/workloads/<uuid:rule_id>/disable/",
        trust_rules.trust_rule_disable,
        name="trust-rule-disable",
    ),
    path(
        "teams/<slug:slug>/workloads/<uuid:rule_id>/enable/",
        trust_rules.trust_rule_enable,
        name="trust-rule-enable",
    ),
    path("teams/<slug:slug>/roles/", roles.team_roles, name="team-roles"),
    path("teams/<slug:slug>/roles/<uuid:role_id>/", roles.team_role, name="team-role"),
    path(
        "teams/<slug:slug>/roles/<uuid:role_id>/remove/",
        roles.team_role_remove,
        name="team-role-remove",
    ),
    path("teams/<slug:slug>/webhooks/", webhooks.webhooks, name="team-webhooks"),
    path(
        "teams/<slug:slug>/webhooks/<uuid:webhook_id>/remove/",
        webhooks.webhook_remove,
        name="webhook-remove",
    ),
    path("teams/<slug:slug>/audit/", teams.team_audit, name="team-audit"),
    path("teams/<slug:slug>/leave/", members.leave, name="team-leave"),
    path("teams/<slug:slug>/settings/", teams.team_settings, name="team-settings"),
]
