"""The owners and managers of a team are told of its grants' ends, and of those of its service accounts."""

import datetime

import pytest

from accounts.audit import COMMAND
from accounts.models import Notification, ServiceAccount, Team
from accounts.models.keys import Scope
from accounts.models.teams import Role
from models_registry.ending_grants import tell_of_ending_grants
from models_registry.models import AiModel, Grant, ModelStatus
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import end_grant, grant_model
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_member, new_team
from tests.models_registry.rows import new_offer

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def a_grant(to: Team | ServiceAccount, *, days_left: float, model: AiModel | None = None) -> Grant:
    return grant_model(
        model or new_offer(),
        to=to,
        scopes=[Scope.CHAT],
        starts_at=utc_now() - 90 * DAY,
        ends_at=utc_now() + days_left * DAY,
        actor=COMMAND,
    )


def told(grant: Grant) -> list[tuple[str, str, int]]:
    rows = Notification.objects.filter(kind="grant_ending", once__contains=str(grant.pk))
    return sorted((row.email, row.facts["holder"], row.facts["days"]) for row in rows)


def test_owners_and_managers_are_told_once() -> None:
    team = new_team()
    people = {role: new_member(team, role) for role in Role}
    keepers = sorted([people[Role.OWNER].email, people[Role.MANAGER].email])
    account = new_account(team)
    for_team, for_account = a_grant(team, days_left=10), a_grant(account, days_left=0.5)
    later = a_grant(team, days_left=20)
    for _ in range(2):
        tell_of_ending_grants()
    assert told(for_team) == [(email, "", 14) for email in keepers]
    assert told(for_account) == [(email, account.name, 1) for email in keepers]
    assert told(later) == []


@pytest.mark.parametrize("spoil", ["ended", "team", "account", "model"])
def test_what_allows_nothing_any_more_is_not_announced(spoil: str) -> None:
    team = new_team()
    new_member(team, Role.OWNER)
    account, model = new_account(team), new_offer()
    grant = a_grant(account, days_left=2, model=model)
    if spoil == "ended":
        end_grant(grant, actor=COMMAND, reason=REASON)
    if spoil == "model":
        set_model_status(model, status=ModelStatus.RETIRED, actor=COMMAND)
    for name, row in (("account", account), ("team", team)):
        if spoil == name:
            row.disabled_at = utc_now()
            row.save()
    sound = new_team()
    owner = new_member(sound, Role.OWNER)
    other = a_grant(sound, days_left=2)
    tell_of_ending_grants()
    assert told(grant) == []
    assert told(other) == [(owner.email, "", 3)]
