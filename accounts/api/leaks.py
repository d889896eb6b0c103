"""Reports of keys that were found where they should not be: made by scanners, read by whoever may revoke keys."""

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Id, Taken, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.views import AdministratorView
from accounts.models import Leak
from accounts.models.leaks import FOUND_IN_MAX, PLACE_MAX, LeakOutcome, LeakReporter
from accounts.roles import PortalRight
from accounts.writes.leaks import LeakReport, report_leaks

TOKEN_MAX = 4_000


class LeakGiven(Given):
    id = serializers.UUIDField()
    key_id = serializers.UUIDField()
    team_id = serializers.UUIDField(source="key.team_id")
    public_id = serializers.CharField(source="key.public_id")
    reporter = serializers.ChoiceField(choices=LeakReporter.choices)
    found_in = serializers.CharField(help_text="What kind of place, in the reporter's words.")
    place = serializers.CharField()
    outcome = serializers.ChoiceField(choices=LeakOutcome.choices)
    reported_at = serializers.DateTimeField()
    last_reported_at = serializers.DateTimeField()
    times = serializers.IntegerField()


class LeakQuery(PageQuery):
    key_id = Id(required=False)


class NewLeakReport(Taken):
    token = Text(
        max_length=TOKEN_MAX,
        write_only=True,
        help_text="What was found. It is neither stored nor logged.",
    )
    place = Text(
        max_length=PLACE_MAX,
        required=False,
        help_text="Where: an address, or a path. Without one all reports of a key are one.",
    )
    found_in = Text(
        max_length=FOUND_IN_MAX, required=False, help_text="What kind of place, such as `commit`."
    )


class ReportedGiven(Given):
    label = serializers.ChoiceField(  # type: ignore[assignment] # A field of its own, as GitHub names it.
        choices=["true_positive", "false_positive"],
        help_text="`false_positive` for whatever is no key of this portal, junk included.",
    )


class Leaks(AdministratorView):
    sees = PortalRight.REVOKE_KEYS
    right = PortalRight.REPORT_LEAKS

    @operation(
        "list_leaks",
        "List keys that were found.",
        gives=page_of(LeakGiven, "LeakPageGiven"),
        query=LeakQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer each place in which a key was found, the newest first."""
        rows: QuerySet[Leak] = Leak.objects.select_related("key")
        if "key_id" in self.asked:
            rows = rows.filter(key_id=self.asked["key_id"])
        return self.page(rows, LeakGiven, by="-id", of="leaks")

    @operation(
        "report_leak",
        "Report a key that was found.",
        takes=NewLeakReport,
        gives=ReportedGiven,
        example={
            "token": "lk_9mKqZ0aXw1Tc_…",
            "place": "https://git.corp.example/a/b/blob/main/.env",
            "found_in": "commit",
        },
    )
    def post(self, request: Request) -> Response:
        """Have a key revoked or flagged, as the portal is set up, and its holder told. Reporting twice changes nothing."""
        report = LeakReport(
            token=self.taken["token"],
            place=self.taken.get("place", ""),
            found_in=self.taken.get("found_in", ""),
        )
        [key] = report_leaks([report], reporter=LeakReporter.SCANNER, actor=self.actor)
        label = "false_positive" if key is None else "true_positive"
        return Response(ReportedGiven({"label": label}).data)
