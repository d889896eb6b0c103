from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.workload.subjects import (
    CLAIMS_MAX,
    VALUES_MAX,
    checked_claims,
    checked_subject,
    patterns_of,
)


@pytest.mark.parametrize(
    "subject",
    [
        "system:serviceaccount:invoicing:reader",
        "system:serviceaccount:invoicing:*",
        "repo:acme/*",
        "repo:acme/app:ref:refs/heads/main",
        "project_path:acme/app:*",
        "spiffe://corp.example/*",
        "spiffe://corp.example/ns/invoicing/sa/reader",
        "113774264463038321964",
    ],
)
def test_subject_of_each_platform_is_taken_as_it_is(subject: str) -> None:
    assert checked_subject(f" {subject} ") == subject


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "*",
        ":*",
        "repo:*",
        "repo:acme*",
        "repo:acme-*",
        "repo:*/app",
        "repo:acme/**",
        "repo:acme/*:ref:*",
        "*:acme/app",
        "spiffe://*",
        "repo:acme/\napp",
        "repo:acme/\x00",
        "x" * 501,
    ],
)
def test_subject_that_would_match_strangers_is_refused(subject: str) -> None:
    with pytest.raises(ValidationError) as refused:
        checked_subject(subject)
    assert "subject" in refused.value.message_dict


@given(st.text(alphabet="ab:/*", max_size=12))
def test_patterns_of_a_subject_are_those_that_it_begins_with(subject: str) -> None:
    for pattern in patterns_of(subject):
        if pattern.endswith("*"):
            beginning = pattern[:-1]
            assert subject.startswith(beginning)
            assert len(subject) > len(beginning)
            assert beginning[-1] in ":/"
        else:
            assert pattern == subject


@pytest.mark.parametrize(
    "claims",
    [
        [{"claim": "", "one_of": ["x"]}],
        [{"claim": "a"}],
        [{"one_of": ["x"]}],
        [{"claim": "a", "one_of": []}],
        [{"claim": "a", "one_of": "x"}],
        [{"claim": "a", "one_of": [7]}],
        [{"claim": "a", "one_of": [""]}],
        [{"claim": "a", "one_of": ["x\0"]}],
        [{"claim": "a" * 201, "one_of": ["x"]}],
        [{"claim": "a", "one_of": ["x"] * (VALUES_MAX + 1)}],
        [{"claim": "a", "one_of": ["x"]}] * (CLAIMS_MAX + 1),
    ],
    ids=str,
)
def test_claim_rule_that_says_nothing_or_too_much_is_refused(claims: list[Any]) -> None:
    assert checked_claims([{"claim": "a", "one_of": ["x"]}])
    with pytest.raises(ValidationError, match=r"claim|values"):
        checked_claims(claims)
