"""Webhooks of a team: listed, made and removed. A secret is answered once, and a URL never."""

import uuid

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_team, access_webhook
from accounts.api.fields import Choice, Given, Taken, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView, done
from accounts.models import Webhook
from accounts.models.notifications import NotificationKind
from accounts.models.webhooks import WEBHOOK_KINDS, WebhookFormat
from accounts.roles import Right
from accounts.writes.webhooks import URL_MAX, add_webhook, remove_webhook

_MISSING = [ProblemCode.NOT_FOUND]
KINDS = [kind.value for kind in WEBHOOK_KINDS]
FORMATS = [form.value for form in WebhookFormat]


class WebhookGiven(Given):
    id = serializers.UUIDField()
    team_id = serializers.UUIDField()
    name = serializers.CharField()
    format = serializers.ChoiceField(choices=FORMATS)
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=KINDS))
    host = serializers.CharField(help_text="Of its URL, the rest of which is not told again.")
    created_at = serializers.DateTimeField()


class NewWebhookGiven(WebhookGiven):
    secret = serializers.CharField(
        help_text="What deliveries are signed with, shown here and never again; empty for a chat."
    )


class WebhookTaken(Taken):
    name = Text(max_length=100)
    format = Choice(choices=FORMATS)
    url = Text(max_length=URL_MAX)
    kinds = serializers.ListField(
        child=Choice(choices=KINDS), min_length=1, max_length=20, help_text="What it hears of."
    )


class Webhooks(ManagementView):
    @operation(
        "list_webhooks",
        "List a team's webhooks.",
        gives=page_of(WebhookGiven, "WebhookPageGiven"),
        query=PageQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer the team's webhooks, by name, to whoever manages its keys."""
        found = access_team(self.person, team, right=Right.MANAGE_KEYS)
        rows = Webhook.objects.filter(team=found)
        return self.page(rows, WebhookGiven, by="name", of=f"webhooks.{found.pk}")

    @operation(
        "add_webhook",
        "Add a webhook to a team.",
        takes=WebhookTaken,
        gives=NewWebhookGiven,
        status=201,
        refuses=_MISSING,
        example={
            "name": "On call",
            "format": "signed",
            "url": "https://hooks.corp.example/latchkey",
            "kinds": ["key_ending", "limit_alert"],
        },
    )
    def post(self, request: Request, team: str) -> Response:
        """Have the team's news of these kinds sent to a URL."""
        made = add_webhook(
            access_team(self.person, team, right=Right.MANAGE_KEYS),
            name=self.taken["name"],
            url=self.taken["url"],
            form=WebhookFormat(self.taken["format"]),
            kinds=[NotificationKind(kind) for kind in self.taken["kinds"]],
            actor=self.actor,
            created_by=self.person,
        )
        given = WebhookGiven(made.webhook).data | {"secret": made.secret}
        return Response(given, status=201)


class WebhookView(ManagementView):
    @operation("remove_webhook", "Remove a webhook.", gives=None, status=204, refuses=_MISSING)
    def delete(self, request: Request, webhook: uuid.UUID) -> Response:
        """Remove it with all that waits for it."""
        remove_webhook(access_webhook(self.person, webhook), actor=self.actor)
        return done()
