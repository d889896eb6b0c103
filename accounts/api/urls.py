"""The management API of people and teams, below /api/v1/."""

from django.urls import path

from accounts.api import (
    administration,
    audit,
    bounds,
    converters,  # noqa: F401 - registers what stands in the addresses.
    decoys,
    invitations,
    issuers,
    leaks,
    me,
    members,
    notifications,
    oauth_clients,
    portal_roles,
    proposals,
    revoke_keys,
    service_accounts,
    team_roles,
    teams,
    trust_rules,
    webhooks,
)

urlpatterns = [
    path("me", me.Me.as_view(), name="me"),
    path("me/notifications", notifications.MyNotifications.as_view(), name="my-notifications"),
    path("teams", teams.Teams.as_view(), name="teams"),
    path("teams/<slug:team>", teams.TeamView.as_view(), name="team"),
    path("teams/<slug:team>/members", members.Members.as_view(), name="members"),
    path("teams/<slug:team>/leave", members.LeaveTeam.as_view(), name="leave-team"),
    path("teams/<slug:team>/invitations", invitations.Invitations.as_view(), name="invitations"),
    path("invitations/<uuid:invitation>", invitations.InvitationView.as_view(), name="invitation"),
    path("members/<row:member>", members.MemberView.as_view(), name="member"),
    path(
        "teams/<slug:team>/service-accounts",
        service_accounts.ServiceAccounts.as_view(),
        name="service-accounts",
    ),
    path(
        "service-accounts/<uuid:account>",
        service_accounts.ServiceAccountView.as_view(),
        name="service-account",
    ),
    path(
        "service-accounts/<uuid:account>/disable",
        service_accounts.DisableServiceAccount.as_view(),
        name="disable-service-account",
    ),
    path(
        "service-accounts/<uuid:account>/enable",
        service_accounts.EnableServiceAccount.as_view(),
        name="enable-service-account",
    ),
    path(
        "teams/<slug:team>/oauth-clients",
        oauth_clients.OAuthClients.as_view(),
        name="oauth-clients",
    ),
    path(
        "oauth-clients/<uuid:client>", oauth_clients.OAuthClientView.as_view(), name="oauth-client"
    ),
    path(
        "oauth-clients/<uuid:client>/disable",
        oauth_clients.DisableOAuthClient.as_view(),
        name="disable-oauth-client",
    ),
    path(
        "oauth-clients/<uuid:client>/enable",
        oauth_clients.EnableOAuthClient.as_view(),
        name="enable-oauth-client",
    ),
    path(
        "oauth-clients/<uuid:client>/secret",
        oauth_clients.ReplaceOAuthClientSecret.as_view(),
        name="replace-oauth-client-secret",
    ),
    path(
        "service-accounts/<uuid:account>/bounds",
        bounds.ServiceAccountBounds.as_view(),
        name="service-account-bounds",
    ),
    path("issuers", trust_rules.OpenIssuers.as_view(), name="open-issuers"),
    path("teams/<slug:team>/trust-rules", trust_rules.TrustRules.as_view(), name="trust-rules"),
    path("teams/<slug:team>/explain-token", trust_rules.TestToken.as_view(), name="explain-token"),
    path("trust-rules/<uuid:rule>", trust_rules.TrustRuleView.as_view(), name="trust-rule"),
    path(
        "trust-rules/<uuid:rule>/disable",
        trust_rules.DisableTrustRule.as_view(),
        name="disable-trust-rule",
    ),
    path(
        "trust-rules/<uuid:rule>/enable",
        trust_rules.EnableTrustRule.as_view(),
        name="enable-trust-rule",
    ),
    path("teams/<slug:team>/roles", team_roles.TeamRoles.as_view(), name="team-roles"),
    path("team-roles/<uuid:role>", team_roles.TeamRoleView.as_view(), name="team-role"),
    path("teams/<slug:team>/webhooks", webhooks.Webhooks.as_view(), name="webhooks"),
    path("webhooks/<uuid:webhook>", webhooks.WebhookView.as_view(), name="webhook"),
    path("teams/<slug:team>/audit", audit.TeamAudit.as_view(), name="team-audit"),
    path("admin/issuers", issuers.Issuers.as_view(), name="issuers"),
    path("admin/issuers/<uuid:issuer>", issuers.IssuerView.as_view(), name="issuer"),
    path(
        "admin/issuers/<uuid:issuer>/disable",
        issuers.DisableIssuer.as_view(),
        name="disable-issuer",
    ),
    path(
        "admin/issuers/<uuid:issuer>/enable", issuers.EnableIssuer.as_view(), name="enable-issuer"
    ),
    path("admin/trust-rules", trust_rules.AnyTrustRules.as_view(), name="any-trust-rules"),
    path(
        "admin/trust-rules/<uuid:rule>/disable",
        trust_rules.DisableAnyTrustRule.as_view(),
        name="disable-any-trust-rule",
    ),
    path(
        "admin/trust-rules/<uuid:rule>/enable",
        trust_rules.EnableAnyTrustRule.as_view(),
        name="enable-any-trust-rule",
    ),
    path(
        "admin/teams/<uuid:team>/trust-rules",
        trust_rules.AnyTeamTrustRules.as_view(),
        name="any-team-trust-rules",
    ),
    path("admin/oauth-clients", oauth_clients.AllOAuthClients.as_view(), name="all-oauth-clients"),
    path(
        "admin/oauth-clients/<uuid:client>/disable",
        oauth_clients.DisableAnyOAuthClient.as_view(),
        name="disable-any-oauth-client",
    ),
    path(
        "admin/oauth-clients/<uuid:client>/enable",
        oauth_clients.EnableAnyOAuthClient.as_view(),
        name="enable-any-oauth-client",
    ),
    path(
        "admin/service-accounts/<uuid:account>/disable",
        service_accounts.DisableAnyServiceAccount.as_view(),
        name="disable-any-service-account",
    ),
    path(
        "admin/service-accounts/<uuid:account>/enable",
        service_accounts.EnableAnyServiceAccount.as_view(),
        name="enable-any-service-account",
    ),
    path("admin/teams/<uuid:team>/bounds", bounds.TeamBounds.as_view(), name="team-bounds"),
    path("admin/keys/<uuid:key>/bounds", bounds.KeyBounds.as_view(), name="key-bounds"),
    path("admin/decoys", decoys.Decoys.as_view(), name="decoys"),
    path("admin/decoys/<uuid:decoy>", decoys.DecoyView.as_view(), name="decoy"),
    path("admin/decoys/<uuid:decoy>/end", decoys.EndDecoy.as_view(), name="end-decoy"),
    path(
        "admin/key-revocations/preview",
        revoke_keys.PreviewRevocation.as_view(),
        name="preview-revocation",
    ),
    path("admin/key-revocations", revoke_keys.RevokeKeys.as_view(), name="revoke-keys"),
    path("admin/leaks", leaks.Leaks.as_view(), name="leaks"),
    path("admin/audit", audit.Audit.as_view(), name="audit"),
    path("admin/people", administration.People.as_view(), name="people"),
    path("admin/people/<uuid:person>", administration.PersonView.as_view(), name="person"),
    path(
        "admin/people/<uuid:person>/disable",
        administration.DisablePerson.as_view(),
        name="disable-person",
    ),
    path(
        "admin/people/<uuid:person>/enable",
        administration.EnablePerson.as_view(),
        name="enable-person",
    ),
    path(
        "admin/people/<uuid:person>/portal-roles",
        portal_roles.PortalRolesOfPerson.as_view(),
        name="give-portal-role",
    ),
    path(
        "admin/people/<uuid:person>/portal-roles/take",
        portal_roles.TakePortalRole.as_view(),
        name="take-portal-role",
    ),
    path("admin/portal-roles", portal_roles.PortalRoles.as_view(), name="portal-roles"),
    path(
        "admin/portal-roles/<uuid:role>",
        portal_roles.PortalRoleView.as_view(),
        name="portal-role",
    ),
    path("admin/proposals", proposals.Proposals.as_view(), name="proposals"),
    path("admin/proposals/<uuid:proposal>", proposals.ProposalView.as_view(), name="proposal"),
    path(
        "admin/proposals/<uuid:proposal>/confirm",
        proposals.ConfirmProposal.as_view(),
        name="confirm-proposal",
    ),
    path(
        "admin/proposals/<uuid:proposal>/refuse",
        proposals.RefuseProposal.as_view(),
        name="refuse-proposal",
    ),
    path(
        "admin/proposals/<uuid:proposal>/withdraw",
        proposals.WithdrawProposal.as_view(),
        name="withdraw-proposal",
    ),
    path("admin/teams", administration.AllTeams.as_view(), name="all-teams"),
    path("admin/teams/<uuid:team>", administration.AnyTeamView.as_view(), name="any-team"),
    path(
        "admin/teams/<uuid:team>/disable", administration.DisableTeam.as_view(), name="disable-team"
    ),
    path("admin/teams/<uuid:team>/enable", administration.EnableTeam.as_view(), name="enable-team"),
    path(
        "admin/teams/<uuid:team>/members",
        administration.AnyTeamMembers.as_view(),
        name="any-team-members",
    ),
]
