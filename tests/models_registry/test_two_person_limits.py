"""A hard limit that bounds a model for everybody is a policy: no one person has it off, softened or raised."""

import pytest
from django.core.exceptions import PermissionDenied

from accounts.audit import acting
from accounts.models import AuditEntry, Proposal
from accounts.models.audit import AuditTag
from accounts.models.roles import PortalRole
from accounts.writes.proposals import confirm_proposal
from models_registry.models import Limit
from models_registry.two_person_limits import ask_to_remove
from models_registry.writes.limits import change_limit, remove_limit
from tests.accounts.rows import new_holder, new_person, new_team
from tests.asking_api import Asker, code_of, data_of
from tests.models_registry.rows import new_limit, new_offer

pytestmark = pytest.mark.django_db
WHY = "The model moved to servers with room for all."


def test_limit_of_a_model_is_loosened_by_two_and_tightened_by_one() -> None:
    one = acting(new_person(is_administrator=True))
    limit, soft = new_limit(model=new_offer()), new_limit(model=new_offer(), is_soft=True)
    for looser in ({"amount": limit.amount + 1}, {"is_soft": True}):
        with pytest.raises(PermissionDenied, match="two people"):
            change_limit(limit, actor=one, **looser)
    with pytest.raises(PermissionDenied, match="two people"):
        remove_limit(limit, actor=one)
    assert Limit.objects.get(pk=limit.pk).amount == limit.amount
    change_limit(limit, amount=limit.amount - 1, actor=one)
    change_limit(soft, amount=soft.amount + 1, actor=one)
    remove_limit(soft, actor=one)
    remove_limit(new_limit(team=new_team()), actor=one)


def test_removal_is_proposed_by_one_and_done_by_another() -> None:
    one, other = (new_holder(PortalRole.REGISTRY_ADMIN) for _ in range(2))
    limit = new_limit(model=new_offer())
    made = ask_to_remove(limit, by=one, why=WHY)
    assert isinstance(made, Proposal)
    with pytest.raises(PermissionDenied):
        confirm_proposal(made, actor=acting(one))
    with pytest.raises(PermissionDenied):
        confirm_proposal(made, actor=acting(new_holder(PortalRole.SECURITY)))
    assert Limit.objects.filter(pk=limit.pk).exists()
    confirm_proposal(made, actor=acting(other))
    assert not Limit.objects.filter(pk=limit.pk).exists()
    entry = AuditEntry.objects.get(tag=AuditTag.LIMIT_REMOVED, subject_id=limit.pk)
    assert (entry.actor_id, entry.facts["confirmed_by"]) == (one.pk, str(other.pk))


def test_api_says_what_to_do() -> None:
    one, limit = Asker(person=new_holder(PortalRole.REGISTRY_ADMIN)), new_limit(model=new_offer())
    path = f"admin/limits/{limit.pk}"
    assert code_of(one.delete(path)) == "forbidden"
    made = data_of(one.post(f"{path}/propose-removal", {"reason": WHY}))
    assert made["proposal"]["facts"] == {"limit_id": str(limit.pk)}
    alone = new_limit(team=new_team())
    done = data_of(one.post(f"admin/limits/{alone.pk}/propose-removal", {"reason": WHY}))
    assert done == {"proposal": None}
    assert not Limit.objects.filter(pk=alone.pk).exists()
