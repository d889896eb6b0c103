"""What allauth asks of the portal when somebody signs in."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.stagekit import clear_login
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.audit import acting, record_audit
from accounts.models import User
from accounts.models.audit import AuditTag
from accounts.signing_in.recent_proof import SIGN_ON
from accounts.single_sign_on.connections import must_sign_on
from portal.lib.page_peer import page_peer


def _came_by_sign_on(request: HttpRequest, person: User) -> bool:
    records = get_authentication_records(request, person)
    return any(record["method"] == SIGN_ON for record in records)


# A row of a session holds an address; a peer that cannot be known is written as the one that nobody has.
UNKNOWN_PEER = "::"


class SignInAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """People come by invitation; pages, mails and counts are the portal's own."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return page_peer(request) or UNKNOWN_PEER

    def get_login_stages(self) -> list[str]:
        return ["accounts.signing_in.stages.SecondFactorStage"]

    @transaction.atomic
    def login(self, request: HttpRequest, user: User) -> None:
        """Open the session, with its entry. Whoever was disabled between two steps goes back to the first."""
        person = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if not person.is_active:
            raise ImmediateHttpResponse(redirect(settings.LOGIN_URL))
        if must_sign_on(person) and not _came_by_sign_on(request, person):
            clear_login(request)
            raise ImmediateHttpResponse(redirect(settings.LOGIN_URL))
        super().login(request, user)
        UserSession.objects.create_from_request(request)
        record_audit(
            AuditTag.SIGNED_IN, actor=acting(person), subject_kind="person", subject_id=person.id
        )

    def post_login(self, request: HttpRequest, user: User, **hook: Any) -> HttpResponse:
        """Lead to where the person wanted to go, which the page that began the sign-in has checked."""
        return redirect(hook["redirect_url"] or settings.LOGIN_REDIRECT_URL)

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: each page says in its own words what it did."""

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Refuse: mail goes through the outbox alone."""
        raise NotImplementedError(template_prefix)
