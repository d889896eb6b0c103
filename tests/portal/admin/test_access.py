"""Who gets in: staff, each as far as their role goes, and nobody past the portal's own sign-in."""

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.admin.base import PortalAdmin
from accounts.audit import acting
from accounts.models import AuditEntry, User
from accounts.models.audit import AuditTag
from accounts.models.roles import PortalRole
from accounts.writes.portal_roles import give_portal_role
from models_registry.models import AccessRequest
from portal.admin_site import PortalAdminSite
from tests.accounts.rows import PASSWORD, new_member, new_person, new_team
from tests.models_registry.rows import new_decider
from tests.portal.admin.test_pages import address
from tests.portal.admin.world import hostile_world, parts

pytestmark = pytest.mark.django_db


def pages() -> Iterator[str]:
    """The address of every page of the admin, each with an object that is there."""
    world = hostile_world()
    yield "/admin/"
    yield "/admin/jsi18n/"
    yield "/admin/nowhere/"
    for app in ("accounts", "models_registry", "proxy"):
        yield f"/admin/{app}/"
    for model, part in parts().items():
        pk = world[model].pk
        yield address(model, "changelist")
        yield address(model, "add")
        for page in ("change", "delete", "history"):
            yield address(model, page, pk)
        for act in part.acts:
            yield address(model, "act", pk, act.name)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def without_token(reply: object) -> bytes:
    """The page without the token against forgery, which differs in each."""
    assert isinstance(reply, HttpResponse)
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]*"', b"", reply.content)


def test_stranger_is_sent_to_the_sign_in_and_back_from_every_page(client: Client) -> None:
    for page in pages():
        for reply in (client.get(page), client.post(page)):
            assert reply.status_code == 302
            assert reply["Location"] == f"/sign-in/?next={page}"


def test_member_finds_nothing_on_any_page() -> None:
    member = signed_in(new_member(new_team()))
    nothing = without_token(member.get("/nowhere/"))
    for page in [*pages(), "/admin/login/"]:
        for reply in (member.get(page), member.post(page)):
            assert reply.status_code == 404, page
    assert without_token(member.get("/admin/accounts/user/")) == nothing


def test_approver_sees_requests_and_nothing_else() -> None:
    approver = signed_in(new_decider())
    open_to_all = {"/admin/", "/admin/jsi18n/", "/admin/models_registry/"}
    own = set()
    for page in pages():
        reply = approver.get(page)
        if reply.status_code == 200 and "accessrequest" in page:
            own.add(page)
        elif page not in open_to_all and "accessrequest" not in page:
            assert reply.status_code in {403, 404}, page
            assert approver.post(page).status_code in {403, 404, 405}, page
    assert len(own) >= 5
    home = approver.get("/admin/").content.decode()
    assert "Requests that wait" in home
    assert "/apikey/" not in home
    assert "/grant/" not in home
    assert "/notification/" not in home
    assert address(AccessRequest, "changelist") in own


def test_signing_in_leads_on_to_the_admin_and_nowhere_else() -> None:
    cache.clear()
    administrator = new_person(is_administrator=True)
    client = Client()
    target = client.get("/admin/accounts/user/")["Location"]
    reply = client.post(
        target,
        {"username": administrator.email, "password": PASSWORD, "next": "/admin/accounts/user/"},
    )
    assert reply["Location"] == "/admin/accounts/user/"
    assert client.get(reply["Location"]).status_code == 200
    for wanted, leads_to in {
        "/admin/proxy/call/": "/admin/proxy/call/",
        "https://evil.test/admin/": "/admin/",
        "//evil.test/admin/": "/admin/",
        "/keys/": "/admin/",
        "": "/admin/",
    }.items():
        assert client.get("/admin/login/", {"next": wanted})["Location"] == leads_to
    cache.clear()


def test_admins_own_pages_for_signing_in_and_passwords_are_not_there() -> None:
    administrator = signed_in(new_person(is_administrator=True))
    for page in ("logout", "password_change", "password_change/done", "autocomplete", "search"):
        assert administrator.get(f"/admin/{page}/").status_code == 404
        assert administrator.post(f"/admin/{page}/").status_code == 404
    assert administrator.get("/admin/r/1/1/").status_code == 404


def test_whoever_is_disabled_or_demoted_is_out_at_once() -> None:
    administrator = new_person(is_administrator=True)
    client = signed_in(administrator)
    assert client.get("/admin/").status_code == 200
    User.objects.filter(pk=administrator.pk).update(is_staff=False)
    assert client.get("/admin/").status_code == 404
    User.objects.filter(pk=administrator.pk).update(is_staff=True, is_active=False)
    assert client.get("/admin/").status_code == 302


def test_only_the_portals_own_parts_are_there() -> None:
    assert len(parts()) == 29
    assert all(isinstance(part, PortalAdmin) for part in parts().values())


def test_no_part_can_write_by_djangos_own_forms(administrator: Client) -> None:
    """Neither a change, a deletion nor an edit in a list: what is sent there is refused or not looked at."""
    world = hostile_world()
    entries = AuditEntry.objects.count()
    for model, part in parts().items():
        found = world[model]
        before = type(found)._default_manager.filter(pk=found.pk).values().get()
        page = address(model, "change", found.pk)
        assert administrator.post(page, {"name": "x", "_save": "1"}).status_code == 405
        assert (
            administrator.post(address(model, "delete", found.pk), {"post": "yes"}).status_code
            == 404
        )
        listed = {"action": "delete_selected", "_selected_action": [str(found.pk)], "post": "yes"}
        administrator.post(address(model, "changelist"), listed)
        assert type(found)._default_manager.filter(pk=found.pk).values().get() == before
        assert "delete_selected" not in part.get_actions(administrator.get(page).wsgi_request)
    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize("page", ["/admin/", "/admin/accounts/team/", "/admin/accounts/team/add/"])
def test_policy_allows_eval_in_the_admin_alone_and_inline_code_nowhere(
    administrator: Client, page: str
) -> None:
    policy = administrator.get(page)["Content-Security-Policy"]
    assert "'unsafe-eval'" in policy
    assert "unsafe-inline" not in policy
    for other in ("/", "/nowhere/", "/admin/nowhere/", "/sign-in/"):
        assert "unsafe" not in administrator.get(other)["Content-Security-Policy"]


def test_administrator_makes_an_approver_who_decides_and_unmakes_them() -> None:
    administrator, person = new_person(is_administrator=True), new_person()
    client, page = signed_in(administrator), address(User, "act", person.pk, "give-role")
    why = {"role": "approver", "reason": "Decides from now on."}
    assert client.post(page, why).status_code == 302
    approver = signed_in(person)
    assert approver.get(address(AccessRequest, "changelist")).status_code == 200
    assert approver.get("/admin/accounts/user/").status_code == 403
    assert approver.post(page, why).status_code == 404
    take = address(User, "act", person.pk, "take-role")
    assert client.post(take, why).status_code == 302
    assert approver.get(address(AccessRequest, "changelist")).status_code == 404
    tags = AuditEntry.objects.filter(tag=AuditTag.PERSON_PORTAL_ROLE_CHANGED, subject_id=person.pk)
    assert list(tags.order_by("id").values_list("facts", "actor_id")) == [
        ({"role": "approver", "is_given": True}, administrator.pk),
        ({"role": "approver", "is_given": False}, administrator.pk),
    ]


def test_nobody_changes_their_own_portal_role_or_disables_themselves() -> None:
    administrator = new_person(is_administrator=True)
    client = signed_in(administrator)
    for act in ("give-role", "take-role", "disable"):
        role = "approver" if act == "give-role" else "superuser"
        values = {"reason": "Away", "role": role}
        reply = client.post(address(User, "act", administrator.pk, act), values)
        assert reply.status_code == 200
        assert "Nobody" in reply.content.decode()
    administrator.refresh_from_db()
    assert administrator.is_active
    assert administrator.is_superuser


def test_portal_role_is_given_by_administrators_alone() -> None:
    for actor in (new_person(), new_decider()):
        with pytest.raises(PermissionDenied):
            give_portal_role(new_person(), role=PortalRole.APPROVER, actor=acting(actor))


def test_page_of_an_object_that_is_not_there_is_not_found(administrator: Client) -> None:
    for model in parts():
        for pk in ("00000000-0000-0000-0000-000000000000", "0", "x", "' OR 1=1"):
            reply = administrator.get(address(model, "change", pk))
            assert reply.status_code == 404
    assert administrator.get(address(User, "act", new_person().pk, "nonsense")).status_code == 404


def test_site_is_the_portals_own() -> None:
    assert isinstance(admin.site, PortalAdminSite)
    assert reverse("admin:index") == "/admin/"
