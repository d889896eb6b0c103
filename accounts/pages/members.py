"""The pages of a team's members: who they are, inviting, roles, and leaving."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Case, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_invitation, access_membership, access_team, role_in
from accounts.audit import acting
from accounts.models import Invitation, Membership, Team, User
from accounts.models.teams import Role
from accounts.pages.parts import page_of, show_refusal
from accounts.pages.team_frame import render_team
from accounts.role_choices import label_of, read_team_role, value_of
from accounts.roles import AnyTeamRole, Right, may, rights_of, team_rights_of
from accounts.signed_in import person_of
from accounts.writes.invitations import invite, withdraw_invitation
from accounts.writes.teams import change_member_role, leave_team, remove_member, role_of
from portal.lib.clock import utc_now

_BY_RANK = Case(*(When(role=role, then=Value(rank)) for rank, role in enumerate(Role.values)))
ROLES_EXPLAINED = gettext_lazy(
    "Owners do everything. Managers do all but manage owners. Members ask for access and issue keys of their own. "
    "Auditors see usage and the audit trail, and change nothing."
)


class RoleForm(forms.Form):
    """The roles that somebody may give."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), help_text=ROLES_EXPLAINED)

    def offer(self, own: Membership, roles: list[AnyTeamRole]) -> None:
        """Leave out of the roles what the person may not give: no right that they do not have themselves."""
        given = [role for role in roles if team_rights_of(role) <= rights_of(own)]
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (value_of(role), label_of(role)) for role in given
        ]


class InviteForm(RoleForm):
    """Whom to invite, and as what."""

    email = forms.EmailField(label=gettext_lazy("E-mail address"), max_length=254)
    field_order = ("email", "role")


@require_http_methods(["GET", "HEAD", "POST"])
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """List the members; whoever manages them invites here."""
    person = person_of(request)
    right = Right.MANAGE_MEMBERS if request.method == "POST" else Right.SEE_TEAM
    found = access_team(person, slug, right=right)
    own = role_in(person, found)
    form = InviteForm(request.POST or None, initial={"role": Role.MEMBER})
    form.offer(own, list(Role))
    if request.method == "POST" and form.is_valid() and _invited(found, form, person):
        messages.success(request, _("The invitation is on its way. It can be followed for a week."))
        return redirect("team", found.slug)
    rows = found.memberships.select_related("person", "custom_role")
    page = page_of(request, rows.order_by(_BY_RANK, "person__email"))
    for row in page:
        row.is_manageable = rights_of(row) <= rights_of(own)  # type: ignore[attr-defined]
    return render_team(
        request,
        "accounts/team.html",
        found,
        tab="team",
        page=page,
        invitations=_open_invitations(found, own),
        form=form,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def member(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    """Show one member to whoever may manage them, and change their role."""
    person = person_of(request)
    found = _member_of(person, slug, membership_id)
    own = role_in(person, found.team)
    form = RoleForm(request.POST or None, initial={"role": value_of(role_of(found))})
    form.offer(own, [*Role, *found.team.custom_roles.order_by("name")])
    if request.method == "POST" and form.is_valid() and _role_changed(found, form, person):
        messages.success(request, _("The role is changed. It counts from now on."))
        return redirect("team", slug)
    return _member_page(request, found, form)


@require_POST
def member_remove(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    """Take a member out of the team; their keys of it are revoked."""
    person = person_of(request)
    found = _member_of(person, slug, membership_id)
    try:
        remove_member(found, actor=acting(person))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("member", slug, membership_id)
    messages.success(request, _("%(person)s has left the team.") % {"person": found.person})
    return redirect(
        "home" if found.person_id == person.pk else "team", *_slug_unless(found, person)
    )


@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what leaving the team means, and leave it."""
    person = person_of(request)
    found = access_team(person, slug)
    own, form = role_in(person, found), forms.Form(request.POST)
    if request.method == "POST":
        try:
            leave_team(own, person=person)
        except ValidationError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("You have left %(team)s.") % {"team": found.name})
            return redirect("teams")
    return render_team(
        request,
        "accounts/team_leave.html",
        found,
        tab="team",
        live_keys=_live_keys(own),
        form=form,
    )


@require_POST
def invitation_withdraw(request: HttpRequest, slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Make an invitation's link lead nowhere."""
    person = person_of(request)
    found = access_invitation(person, invitation_id)
    if found.team.slug != slug:
        raise Http404
    withdraw_invitation(found, actor=acting(person))
    messages.success(request, _("The invitation is withdrawn: its link leads nowhere now."))
    return redirect("team", slug)


def _slug_unless(found: Membership, person: User) -> list[str]:
    """The team's page is closed to whoever has just left it."""
    return [] if found.person_id == person.pk else [found.team.slug]


def _member_of(person: User, slug: str, membership_id: int) -> Membership:
    found = access_membership(person, membership_id, right=Right.MANAGE_MEMBERS)
    if found.team.slug != slug:
        raise Http404
    return found


def _member_page(request: HttpRequest, found: Membership, form: RoleForm) -> HttpResponse:
    return render_team(
        request,
        "accounts/member.html",
        found.team,
        tab="team",
        member=found,
        live_keys=_live_keys(found),
        form=form,
    )


def _live_keys(membership: Membership) -> int:
    """How many keys end with the membership."""
    live = membership.team.keys.filter(revoked_at=None, expires_at__gt=utc_now())
    return live.filter(person=membership.person_id).count()


def _open_invitations(team: Team, own: Membership) -> list[Invitation]:
    if not may(own, Right.MANAGE_MEMBERS):
        return []
    rows = team.invitations.filter(closed_at=None, ends_at__gt=utc_now())
    return list(rows.select_related("invited_by").order_by("email"))


def _invited(team: Team, form: InviteForm, person: User) -> bool:
    given = form.cleaned_data
    try:
        invite(team, email=given["email"], role=Role(given["role"]), by=person)
    except ValidationError as error:
        show_refusal(form, error)
        return False
    return True


def _role_changed(found: Membership, form: RoleForm, person: User) -> bool:
    try:
        role = read_team_role(found.team, form.cleaned_data["role"])
        change_member_role(found, role=role, actor=acting(person))
    except ValidationError as error:
        show_refusal(form, error)
        return False
    return True
