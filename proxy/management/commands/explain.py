import contextlib
import datetime
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from accounts.models import ApiKey, ServiceAccount, Team, User
from models_registry.models import AiModel
from portal.lib.client_address import parse_address
from proxy.call import POSTED, CallKind
from proxy.explain.answer import Explanation, State
from proxy.explain.explain import explain
from proxy.explain.situation import Question, key_as_new, load_situation
from proxy.explain.subjects import PUBLIC_ID_MAX

_MARKS = {State.HELD: "yes", State.NOT_HELD: "NO", State.NOT_ASKED: "–"}  # noqa: RUF001 - neither.


class Command(BaseCommand):
    help = "Say whether a key, person or service account may call a model, and why or why not."

    def add_arguments(self, parser: CommandParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument(
            "--key-id", help="A key's id or public id, the part between lk_ and the next _."
        )
        who.add_argument("--person", metavar="EMAIL", help="Whom a new key would be issued to.")
        who.add_argument("--service-account", metavar="NAME")
        parser.add_argument("--team", help="The slug of the team in which they call.")
        parser.add_argument("--model", default="", help="Without one, the key alone is explained.")
        parser.add_argument("--kind", choices=[kind.value for kind in POSTED.values()])
        parser.add_argument("--address", help="Where the call comes from.")
        parser.add_argument("--at", metavar="2027-01-31T12:00:00Z", help="Another moment than now.")

    def handle(self, *args: Any, **options: Any) -> None:
        peer, at = _address(options["address"]), _moment(options["at"])
        question = Question(
            key=_key(options),
            model=options["model"],
            kind=CallKind(options["kind"]) if options["kind"] else None,
            peer=peer,
            at=at,
        )
        said = explain(load_situation(question, seen=AiModel.objects.all()))
        self.stdout.write("\n".join(_lines(said)))


def _lines(said: Explanation) -> list[str]:
    moment = "now" if said.is_now else f"at {said.at:%Y-%m-%d %H:%M} UTC"
    if said.refusal is None:
        verdict = f"Yes, {moment}."
    else:
        refusal = said.refusal
        verdict = (
            f"No, {moment}: {refusal.code.http_status} {refusal.code.code}. {refusal.public_text}"
        )
    failed = said.first_failed
    return [
        verdict,
        *([f"What to do: {failed.remedy}"] if failed and failed.remedy else []),
        "",
        *(f"{_MARKS[one.state]:>4}  {one.rule.value}: {one.text}" for one in said.checked),
    ]


def _key(options: dict[str, Any]) -> ApiKey:
    try:
        if options["key_id"]:
            return _named(options["key_id"])
        if not options["team"]:
            raise CommandError("Name the team with --team: whoever calls, calls in one.")
        team = Team.objects.get(slug=options["team"])
        if options["person"]:
            return key_as_new(team, User.objects.get(email__iexact=options["person"]))
        return key_as_new(
            team, ServiceAccount.objects.get(team=team, name=options["service_account"])
        )
    except (
        ApiKey.DoesNotExist,
        Team.DoesNotExist,
        User.DoesNotExist,
        ServiceAccount.DoesNotExist,
    ) as error:
        raise CommandError(str(error)) from None


def _named(text: str) -> ApiKey:
    if text.startswith("lk_"):
        raise CommandError(
            "--key-id: name the part between lk_ and the next _ alone. A key that stands in a shell's history is to be revoked."
        )
    by = Q(public_id=text[:PUBLIC_ID_MAX])
    with contextlib.suppress(ValueError):
        by |= Q(pk=uuid.UUID(text))
    return ApiKey.objects.select_related("team", "service_account", "person").get(by)


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    address = parse_address(text)
    if address is None:
        raise CommandError("--address: give an IP address, such as 192.0.2.1.")
    return str(address)


def _moment(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise CommandError("--at: give a moment such as 2027-01-31T12:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
