import datetime
import uuid

import pytest
from django.core.exceptions import ValidationError

from accounts.audit import COMMAND
from accounts.models import AuditEntry
from accounts.models.audit import AuditTag
from models_registry.models import AiModel, ModelKind, ModelStatus
from models_registry.writes.catalogue import (
    add_model,
    change_deployment,
    change_model,
    deploy_model,
    set_model_status,
)
from portal.lib.clock import utc_now
from tests.accounts.rows import new_name, tomorrow
from tests.models_registry.rows import new_deployment, new_model

pytestmark = pytest.mark.django_db
DRAFT, PUBLISHED = ModelStatus.DRAFT, ModelStatus.PUBLISHED
DEPRECATED, RETIRED = ModelStatus.DEPRECATED, ModelStatus.RETIRED
WAYS = {
    DRAFT: [],
    PUBLISHED: [PUBLISHED],
    DEPRECATED: [PUBLISHED, DEPRECATED],
    RETIRED: [RETIRED],
}
ALLOWED = {
    (DRAFT, PUBLISHED),
    (DRAFT, RETIRED),
    (PUBLISHED, DEPRECATED),
    (PUBLISHED, RETIRED),
    (DEPRECATED, PUBLISHED),
    (DEPRECATED, RETIRED),
}


def model_at(status: ModelStatus) -> AiModel:
    model = new_model()
    for step in WAYS[status]:
        set_model_status(model, status=step, actor=COMMAND)
    return model


@pytest.mark.parametrize("before", ModelStatus)
@pytest.mark.parametrize("after", ModelStatus)
def test_status_moves_along_the_life_alone(before: ModelStatus, after: ModelStatus) -> None:
    model = model_at(before)
    entries = AuditEntry.objects.filter(tag=AuditTag.MODEL_STATUS_CHANGED, subject_id=model.pk)
    count = entries.count()
    if (before, after) in ALLOWED:
        set_model_status(model, status=after, actor=COMMAND)
        assert entries.count() == count + 1
    else:
        with pytest.raises(ValidationError, match="cannot become"):
            set_model_status(model, status=after, actor=COMMAND)
        assert entries.count() == count
    model.refresh_from_db()
    assert model.status == (after if (before, after) in ALLOWED else before)


def test_deprecated_model_says_since_when_and_until_when() -> None:
    model, sunset_at = model_at(PUBLISHED), tomorrow()
    set_model_status(model, status=DEPRECATED, sunset_at=sunset_at, actor=COMMAND)
    model.refresh_from_db()
    assert model.sunset_at == sunset_at
    assert model.deprecated_at is not None
    set_model_status(model, status=PUBLISHED, actor=COMMAND)
    again = AiModel.objects.get(pk=model.pk)
    assert (again.deprecated_at, again.sunset_at) == (None, None)


@pytest.mark.parametrize("status", [RETIRED, DEPRECATED])
def test_end_in_the_past_or_of_a_model_that_is_not_deprecated_is_refused(
    status: ModelStatus,
) -> None:
    sunset_at = tomorrow() if status is RETIRED else utc_now() - datetime.timedelta(seconds=1)
    model = model_at(PUBLISHED)
    with pytest.raises(ValidationError, match="deprecated"):
        set_model_status(model, status=status, sunset_at=sunset_at, actor=COMMAND)
    set_model_status(model, status=status, actor=COMMAND)


NAMES_REFUSED = ["", "-x", "a b", "a\n", "a\x00b", "m\u043edel", "x" * 121, "a?b", "../x", ".x"]


@pytest.mark.parametrize("name", NAMES_REFUSED)
def test_name_that_could_be_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        add_model(name, kind=ModelKind.EMBEDDINGS, context_tokens=1, actor=COMMAND)
    assert list(refused.value.message_dict) == ["name"]


@pytest.mark.parametrize("name", ["gpt-4o", "meta/llama-3.1:70b", "a", "A_b", "x" * 120])
def test_name_in_use_elsewhere_is_accepted_once(name: str) -> None:
    add_model(name, kind=ModelKind.EMBEDDINGS, context_tokens=1, actor=COMMAND)
    with pytest.raises(ValidationError):
        add_model(name, kind=ModelKind.EMBEDDINGS, context_tokens=1, actor=COMMAND)


FACTS_REFUSED = {
    "no context": ({"context_tokens": 0}, "context_tokens"),
    "no output": ({"max_output_tokens": 0}, "max_output_tokens"),
    "negative price": ({"price_output": -1}, "price_output"),
    "too small a factor": ({"tokens_per_byte": 0.01}, "tokens_per_byte"),
    "unknown data class": ({"data_class": "everything"}, "data_class"),
    "unknown end": ({"hang_up": "wait"}, "hang_up"),
}


@pytest.mark.parametrize("case", FACTS_REFUSED.values(), ids=FACTS_REFUSED)
def test_fact_out_of_its_range_is_refused_by_name(case: tuple[dict[str, object], str]) -> None:
    facts, field = case
    new_model()
    with pytest.raises(ValidationError) as refused:
        new_model(**facts)
    assert field in refused.value.message_dict


def test_deployment_stands_once() -> None:
    deployment = new_deployment()
    with pytest.raises(ValidationError):
        deploy_model(
            deployment.model,
            provider=deployment.provider,
            upstream_name=deployment.upstream_name,
            actor=COMMAND,
        )
    deploy_model(
        deployment.model, provider=deployment.provider, upstream_name=new_name("u"), actor=COMMAND
    )
    tags = AuditEntry.objects.filter(subject_id=deployment.model_id, tag=AuditTag.DEPLOYMENT_ADDED)
    assert tags.count() == 2


def changes_of(subject_id: uuid.UUID, tag: AuditTag) -> list[object]:
    entries = AuditEntry.objects.filter(subject_id=subject_id, tag=tag).order_by("id")
    return [entry.facts["changed"] for entry in entries]


def test_changed_facts_are_named_in_the_entry_and_the_same_ones_leave_none() -> None:
    model = new_model(price_input=5)
    change_model(model, actor=COMMAND, price_input=7, description="New", price_output=0)
    change_model(model, actor=COMMAND, price_input=7, description="New")
    model.refresh_from_db()
    assert (model.price_input, model.description) == (7, "New")
    assert changes_of(model.pk, AuditTag.MODEL_CHANGED) == [["description", "price_input"]]


@pytest.mark.parametrize("case", FACTS_REFUSED.values(), ids=FACTS_REFUSED)
def test_fact_cannot_be_changed_out_of_its_range(case: tuple[dict[str, object], str]) -> None:
    facts, field = case
    model = new_model()
    with pytest.raises(ValidationError) as refused:
        change_model(model, actor=COMMAND, **facts)
    assert field in refused.value.message_dict
    assert not changes_of(model.pk, AuditTag.MODEL_CHANGED)


@pytest.mark.parametrize("fact", ["name", "kind", "status", "id", "sunset_at"])
def test_what_callers_rely_on_is_no_fact_to_change(fact: str) -> None:
    with pytest.raises(TypeError, match=fact):
        change_model(new_model(), actor=COMMAND, **{fact: "x"})


def test_deployment_is_switched_and_moved_each_with_an_entry() -> None:
    deployment = new_deployment()
    change_deployment(deployment, actor=COMMAND, enabled=False)
    change_deployment(deployment, actor=COMMAND, enabled=False, position=0)
    change_deployment(deployment, actor=COMMAND, enabled=True, position=4)
    deployment.refresh_from_db()
    assert (deployment.enabled, deployment.position) == (True, 4)
    changed = changes_of(deployment.model_id, AuditTag.DEPLOYMENT_CHANGED)
    assert changed == [["enabled"], ["enabled", "position"]]
