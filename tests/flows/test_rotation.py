"""A running gateway takes both secrets of a rotated key, and the old one to the second."""

import dataclasses
import datetime
import time

from accounts.audit import COMMAND
from accounts.models import ApiKey, PreviousSecretUse
from accounts.writes.key_rotation import end_old_secret, rotate_key
from models_registry.models import AiModel
from portal.lib.clock import utc_now
from tests.flows.answers import CHAT, chat_body
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.test_rights import REFUSED_WITHIN_S, SLACK_S, chat, revoke, wait_for

HOUR = datetime.timedelta(hours=1)


def rotated(caller: Caller, overlap: datetime.timedelta = HOUR) -> Caller:
    """The same caller with its new secret."""
    new = rotate_key(caller.key, overlap=overlap, actor=COMMAND)
    return dataclasses.replace(caller, text=new.text)


def answers(model: AiModel, *callers: Caller) -> list[int]:
    return [chat(caller, model).status for caller in callers]


def test_no_call_fails_with_either_secret_while_the_key_is_rotated(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    old = new_caller_of(catalogue.chat)
    assert answers(catalogue.chat, old, old) == [200, 200]
    new = rotated(old)
    # At once, before the gateway can have heard of it, and when it has.
    assert answers(catalogue.chat, *[new, old] * 5) == [200] * 10
    time.sleep(0.5)
    assert answers(catalogue.chat, *[new, old] * 5) == [200] * 10


def test_old_secret_is_refused_from_the_end_of_the_overlap_on_and_not_before(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    old = new_caller_of(catalogue.chat)
    new = rotated(old, datetime.timedelta(seconds=1.5))
    ends_at = ApiKey.objects.get(pk=old.key.pk).previous_ends_at
    assert ends_at is not None
    told: list[tuple[datetime.datetime, int, datetime.datetime]] = []
    while utc_now() < ends_at + datetime.timedelta(seconds=0.3):
        asked = utc_now()
        told.append((asked, chat(old, catalogue.chat).status, utc_now()))
    assert {status for _, status, _ in told} == {200, 401}
    assert all(asked < ends_at for asked, status, _ in told if status == 200)
    assert all(answered >= ends_at for _, status, answered in told if status == 401)
    refused = chat(old, catalogue.chat)
    nobody = new.send("POST", CHAT, chat_body(catalogue.chat.name), headers=unknown(new))
    assert (refused.status, refused.json()) == (nobody.status, nobody.json())
    assert chat(new, catalogue.chat).status == 200


def unknown(caller: Caller) -> list[tuple[str, str]]:
    return [("Authorization", "Bearer lk_nothing"), *caller.headers()[1:]]


def test_old_secret_that_is_ended_is_refused_within_a_second_and_the_new_one_is_not(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    old = new_caller_of(catalogue.chat)
    new = rotated(old)
    assert answers(catalogue.chat, old, new) == [200, 200]
    end_old_secret(old.key, actor=COMMAND)
    wait_for(lambda: chat(old, catalogue.chat), 401, within_s=REFUSED_WITHIN_S + SLACK_S)
    assert answers(catalogue.chat, new, old) == [200, 401]


def test_both_secrets_of_a_revoked_key_are_refused_within_a_second(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    old = new_caller_of(catalogue.chat)
    new = rotated(old)
    assert answers(catalogue.chat, old, new) == [200, 200]
    revoke(old)
    for caller in (old, new):
        within_s = REFUSED_WITHIN_S + SLACK_S
        wait_for(lambda caller=caller: chat(caller, catalogue.chat), 401, within_s=within_s)  # type: ignore[misc]


def test_calls_with_the_old_secret_are_counted_and_those_with_the_new_one_are_not(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    old = new_caller_of(catalogue.chat)
    chat(old, catalogue.chat)
    new = rotated(old)
    # Until the gateway has heard of it, the old secret is the only one that it knows.
    time.sleep(1.0)
    assert answers(catalogue.chat, old, new, old, new, old) == [200] * 5

    def counted() -> list[tuple[int, str]]:
        found = PreviousSecretUse.objects.filter(key=old.key)
        return list(found.values_list("calls", "last_peer"))

    deadline = time.monotonic() + 10
    while counted() != [(3, old.address)] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counted() == [(3, old.address)]
    use = PreviousSecretUse.objects.get(key=old.key)
    assert use.rotated_at == ApiKey.objects.get(pk=old.key.pk).rotated_at
    assert use.rotated_at < use.last_used_at
    assert utc_now() - use.last_used_at < datetime.timedelta(minutes=1)
    assert chat(new, catalogue.chat).status == 200
