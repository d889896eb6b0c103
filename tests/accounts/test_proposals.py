"""What takes two people happens once, by two who may, and by nobody else."""

import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from accounts.audit import COMMAND, acting
from accounts.models import (
    AuditEntry,
    CustomRole,
    Notification,
    Proposal,
    SignOnConnection,
    User,
)
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.proposals import ProposalState, ProposedAction
from accounts.models.roles import PortalRole
from accounts.models.sign_on import SignOnKind
from accounts.roles import PortalRight, portal_rights, portal_roles
from accounts.single_sign_on.connections import SignOnRefused
from accounts.single_sign_on.encryption import make_encryption_key
from accounts.two_person import act_of
from accounts.two_person_roles import ask_to_change, ask_to_give, ask_to_make, ask_to_take
from accounts.writes.arrival import Named, arrive
from accounts.writes.portal_roles import give_portal_role, take_portal_role
from accounts.writes.proposals import (
    PROPOSAL_LIFE,
    confirm_proposal,
    refuse_proposal,
    withdraw_proposal,
)
from accounts.writes.second_factors import remove_all_factors
from accounts.writes.sign_on import add_connection, change_connection
from portal.lib.clock import utc_now
from tests.accounts.rows import new_holder, new_name, new_person, new_portal_role
from tests.accounts.test_member_roles import outcome

db = pytest.mark.django_db
WHY = "The keys need a guard."


def waiting(person: User | None = None, role: PortalRole = PortalRole.SECURITY) -> Proposal:
    """A superuser's proposal to give somebody a role."""
    by = new_person(is_administrator=True)
    made = ask_to_give(person or new_person(), role=role, by=by, why=WHY)
    assert made is not None
    return made


def subject_of(proposal: Proposal) -> User:
    assert proposal.subject_id is not None
    return User.objects.get(pk=proposal.subject_id)


@db
def test_confirmed_proposal_is_done_once_in_the_name_of_both() -> None:
    proposal, other = waiting(), new_person(is_administrator=True)
    assert portal_roles(subject_of(proposal)) == []
    confirm_proposal(proposal, actor=acting(other))
    assert portal_roles(subject_of(proposal)) == [PortalRole.SECURITY]
    for again in (
        lambda: confirm_proposal(proposal, actor=acting(other)),
        lambda: refuse_proposal(proposal, actor=acting(other), reason=WHY),
        lambda: withdraw_proposal(proposal, by=proposal.proposed_by),
    ):
        assert "has been confirmed meanwhile" in outcome(again)
    entries = AuditEntry.objects.filter(
        subject_id__in=[proposal.pk, proposal.subject_id],
        tag__in=["proposal.made", "person.portal_role_changed", "proposal.confirmed"],
    ).order_by("id")
    assert [(entry.tag, entry.actor_id) for entry in entries] == [
        ("proposal.made", proposal.proposed_by_id),
        ("person.portal_role_changed", proposal.proposed_by_id),
        ("proposal.confirmed", other.pk),
    ]
    assert entries[1].facts["confirmed_by"] == str(other.pk)


@db
def test_proposal_is_decided_on_by_another_who_holds_all_that_it_needs() -> None:
    proposal = waiting()
    some = new_holder(new_portal_role(PortalRight.MANAGE_ROLES))
    for actor in (
        proposal.proposed_by,
        subject_of(proposal),
        some,
        new_holder(PortalRole.SECURITY),
    ):
        with pytest.raises(PermissionDenied):
            confirm_proposal(proposal, actor=acting(actor))
        proposal.refresh_from_db()
        assert proposal.state == ProposalState.OPEN
    for actor in (proposal.proposed_by, new_person()):
        with pytest.raises(PermissionDenied):
            refuse_proposal(proposal, actor=acting(actor), reason=WHY)
    with pytest.raises(PermissionDenied):
        withdraw_proposal(proposal, by=new_person(is_administrator=True))
    assert portal_roles(subject_of(proposal)) == []


@db
def test_superuser_does_not_confirm_what_is_about_themselves() -> None:
    about = new_person(is_administrator=True)
    proposal = waiting(about)
    assert "Nobody changes their own" in outcome(
        lambda: confirm_proposal(proposal, actor=acting(about))
    )
    proposal.refresh_from_db()
    assert proposal.state == ProposalState.OPEN
    for ask in (ask_to_give, ask_to_take):
        role = PortalRole.SECURITY if ask is ask_to_give else PortalRole.SUPERUSER
        act = lambda: ask(about, role=role, by=about, why=WHY)  # noqa: B023, E731
        assert "Nobody changes their own" in outcome(act)


@db
def test_proposer_who_may_no_longer_takes_the_proposal_with_them() -> None:
    proposal, other = waiting(), new_person(is_administrator=True)
    take_portal_role(proposal.proposed_by, role=PortalRole.SUPERUSER, actor=COMMAND)
    with pytest.raises(PermissionDenied, match="may not do it any more"):
        confirm_proposal(proposal, actor=acting(other))
    assert portal_roles(subject_of(proposal)) == []


@db
def test_proposal_ends_by_itself() -> None:
    proposal, other = waiting(), new_person(is_administrator=True)
    assert proposal.ends_at - utc_now() <= PROPOSAL_LIFE
    Proposal.objects.filter(pk=proposal.pk).update(ends_at=utc_now())
    assert "time is over" in outcome(lambda: confirm_proposal(proposal, actor=acting(other)))
    assert "time is over" in outcome(lambda: confirm_proposal(proposal, actor=COMMAND))


@db
def test_what_could_not_be_done_is_not_proposed_and_nothing_of_the_trial_stays() -> None:
    by = new_person(is_administrator=True)
    some = new_holder(new_portal_role(PortalRight.MANAGE_ROLES))
    person = new_person()
    before = AuditEntry.objects.count()
    assert (
        outcome(lambda: ask_to_give(person, role=PortalRole.SECURITY, by=some, why=WHY)) == "denied"
    )
    assert "at least one thing" in outcome(
        lambda: ask_to_make(name="x", description="", rights=[], by=by, why=WHY)
    )
    assert "Say why" in outcome(
        lambda: ask_to_give(person, role=PortalRole.SECURITY, by=by, why=" ")
    )
    assert AuditEntry.objects.count() == before
    ask_to_give(person, role=PortalRole.SECURITY, by=by, why=WHY)
    assert AuditEntry.objects.count() == before + 1
    person.refresh_from_db()
    assert portal_roles(person) == []


@db
def test_each_action_does_what_was_proposed() -> None:
    by, other = new_person(is_administrator=True), new_person(is_administrator=True)
    name, few = new_name("role"), [PortalRight.SEE_AUDIT]
    made = ask_to_make(name=name, description="", rights=few, by=by, why=WHY)
    confirm_proposal(made, actor=acting(other))
    role = other_role(name)
    more = [*few, PortalRight.SEE_CALLS]
    wider = ask_to_change(role, name=name, description="", rights=more, by=by, why=WHY)
    assert wider is not None
    holder = new_holder(role)
    assert portal_rights(holder) == set(few)
    confirm_proposal(wider, actor=acting(other))
    assert portal_rights(User.objects.get(pk=holder.pk)) == set(more)
    assert ask_to_change(role, name=name, description="", rights=few, by=by, why=WHY) is None
    taken = ask_to_take(holder, role=role, by=by, why=WHY)
    assert taken is not None
    confirm_proposal(taken, actor=acting(other))
    assert portal_rights(User.objects.get(pk=holder.pk)) == set()
    for action in ProposedAction:
        assert act_of(action).action is action


def other_role(name: str) -> CustomRole:
    return CustomRole.objects.get(name=name, team=None)


@db
@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"person_id": "x", "role": "superuser"},
        {"person_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071", "role": "superuser", "more": 1},
        {"person_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071", "role": ["superuser"]},
        [],
        None,
    ],
)
def test_facts_of_another_form_carry_out_nothing(facts: object) -> None:
    proposal, other = waiting(), new_person(is_administrator=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_proposal SET facts = %s WHERE id = %s",
            [json.dumps(facts), proposal.pk],
        )
    with pytest.raises(ValueError, match=r"."), transaction.atomic():
        confirm_proposal(proposal, actor=acting(other))
    proposal.refresh_from_db()
    assert proposal.state == ProposalState.OPEN


@db
def test_database_refuses_a_confirmation_by_the_proposer() -> None:
    proposal = waiting()
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(
            state=ProposalState.CONFIRMED, decided_by=proposal.proposed_by
        )


@db
def test_others_who_may_decide_are_told_and_then_the_proposer() -> None:
    other, some = new_person(is_administrator=True), new_holder(PortalRole.SECURITY)
    proposal = waiting()
    told = Notification.objects.filter(facts__proposal_id=str(proposal.pk))
    first = set(told.filter(kind=NotificationKind.PROPOSAL_MADE).values_list("person", flat=True))
    assert other.pk in first
    assert not first & {some.pk, proposal.proposed_by_id}
    refuse_proposal(proposal, actor=acting(other), reason="Less would do.")
    [last] = told.filter(kind=NotificationKind.PROPOSAL_DECIDED)
    assert (last.person_id, last.facts["reason"]) == (proposal.proposed_by_id, "Less would do.")


@db
def test_host_confirms_where_nobody_else_can() -> None:
    proposal, said = waiting(), StringIO()
    call_command("confirm_proposal", str(proposal.pk), stdout=said)
    assert "Confirmed and done" in said.getvalue()
    assert portal_roles(subject_of(proposal)) == [PortalRole.SECURITY]
    entry = AuditEntry.objects.get(
        tag=AuditTag.PERSON_PORTAL_ROLE_CHANGED, subject_id=proposal.subject_id
    )
    assert (entry.actor_id, entry.facts["confirmed_by"]) == (proposal.proposed_by_id, "command")
    for wrong in (str(proposal.pk), "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"):
        with pytest.raises(CommandError):
            call_command("confirm_proposal", wrong)


def named(subject: str, email: str) -> Named:
    return Named(subject=subject, email=email, is_verified=True, name="", groups=frozenset())


def superuser_in(domain: str) -> User:
    person = new_person(is_administrator=True)
    User.objects.filter(pk=person.pk).update(email=f"{new_name('ada')}@{domain}")
    person.refresh_from_db()
    return person


def link(person: User, connection: SignOnConnection, subject: str) -> None:
    call_command("link_sign_on", person.email, connection.slug, subject, stdout=StringIO())


@db
@pytest.mark.parametrize("role", [None, PortalRole.APPROVER])
def test_superuser_does_not_come_as_the_second_person_by_a_connection_of_their_own(
    role: PortalRole | None,
) -> None:
    domain = f"{new_name('id')}.example"
    one, other = new_person(is_administrator=True), superuser_in(domain)
    if role is not None:
        # Whoever has any role, and not superusers alone.
        take_portal_role(other, role=PortalRole.SUPERUSER, actor=COMMAND)
        give_portal_role(other, role=role, actor=COMMAND)
    connection = add_connection(
        new_name("corp"),
        kind=SignOnKind.OIDC,
        name="Corp",
        issuer="https://idp.of-one.example",
        client_id="x",
        domains=[domain],
        actor=acting(one),
    )
    remove_all_factors(other, actor=acting(one), reason=WHY)
    for email in (other.email, other.email.upper(), f" {other.email} "):
        with pytest.raises(SignOnRefused, match="role for the portal"):
            arrive(connection, named("of one", email))
    assert not connection.identities.exists()
    # People without such a role are linked by their address as before.
    member = new_person()
    User.objects.filter(pk=member.pk).update(email=f"{new_name('bob')}@{domain}")
    member.refresh_from_db()
    assert arrive(connection, named("of a member", member.email)) == member
    # Whoever operates the host says who the other one is there, and no other subject is.
    link(other, connection, "of the other")
    link(other, connection, "of the other")
    assert arrive(connection, named("of the other", "whatever@elsewhere.example")) == other
    with pytest.raises(SignOnRefused):
        arrive(connection, named("of one", other.email))
    for person, subject in ((other, "of one"), (one, "of the other")):
        with pytest.raises(CommandError, match="linked already"):
            link(person, connection, subject)
    # Another issuer of the same name's domains speaks for them no more.
    change_connection(connection, issuer="https://idp2.of-one.example", actor=acting(one))
    for subject in ("of the other", "of one"):
        with pytest.raises(SignOnRefused):
            arrive(connection, named(subject, other.email))


@db
def test_another_certificate_ends_the_links_of_whoever_could_be_the_second_person() -> None:
    domain, host = f"{new_name('id')}.example", "idp.latchkey.test"
    one, other = superuser_in(domain), superuser_in(domain)
    connection = add_connection(
        new_name("corp"),
        kind=SignOnKind.SAML,
        name="Corp",
        issuer="corp",
        sso_url=f"https://{host}/sso",
        certificate=make_encryption_key(host, now=utc_now()).certificate,
        domains=[domain],
        actor=acting(one),
    )
    link(one, connection, "of one")
    link(other, connection, "of the other")
    member = arrive(connection, named("of a member", f"{new_name('bob')}@{domain}"))
    another = make_encryption_key(host, now=utc_now()).certificate
    change_connection(connection, name="Corp 2", actor=acting(one))
    assert arrive(connection, named("of the other", other.email)) == other
    change_connection(connection, certificate=another, actor=acting(one))
    with pytest.raises(SignOnRefused):
        arrive(connection, named("of the other", other.email))
    # A lone superuser who signs in with the provider goes on doing so, and so does everybody else.
    assert arrive(connection, named("of one", one.email)) == one
    assert arrive(connection, named("of a member", member.email)) == member


def confirm_in_a_thread(proposal: Proposal, by: User) -> str:
    try:
        return outcome(lambda: confirm_proposal(proposal, actor=acting(by)))
    finally:
        connection.close()


def test_of_two_who_confirm_at_once_one_does(committed: None) -> None:
    for _ in range(3):
        proposal = waiting()
        others = [new_person(is_administrator=True) for _ in range(2)]
        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(confirm_in_a_thread, [proposal] * 2, others))
        assert sorted(outcomes)[1] == "done"
        assert "has been confirmed meanwhile" in min(outcomes)
        changed = AuditTag.PERSON_PORTAL_ROLE_CHANGED
        assert AuditEntry.objects.filter(tag=changed, subject_id=proposal.subject_id).count() == 1
