"""What one operation takes and answers, said once: the document is written from it, and requests are held to it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from accounts.api.fields import Given, Taken, Text, Whole
from accounts.api.idempotency import HEADER
from accounts.api.problems import MEDIA_TYPE, Problem, ProblemCode, problem_body

Handler = TypeVar("Handler", bound=Callable[..., Any])
_EXAMPLE_ID = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"


class NoQuery(Taken):
    """Nothing."""


class Contract(NamedTuple):
    """What a handler's request is held to."""

    takes: type[Taken] | None
    query: type[Taken]


class ProblemGiven(Given):
    """A problem of RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(help_text="The request's id, as the log knows it.")
    code = serializers.ChoiceField(choices=[code.code for code in ProblemCode])
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong, by field.",
    )


_ALWAYS = (
    ProblemCode.INVALID_REQUEST,
    ProblemCode.INVALID_CREDENTIAL,
    ProblemCode.FORBIDDEN,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.STORE_UNAVAILABLE,
)
_OF_WRITES = (
    ProblemCode.CONFLICT,
    ProblemCode.BODY_TOO_LARGE,
    ProblemCode.WRONG_CONTENT_TYPE,
    ProblemCode.IDEMPOTENCY_KEY_REUSED,
)


def operation(
    name: str,
    summary: str,
    *,
    gives: type[Given] | None,
    status: int = 200,
    takes: type[Taken] | None = None,
    query: type[Taken] = NoQuery,
    refuses: Sequence[ProblemCode] = (),
    example: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    is_write: bool | None = None,
) -> Callable[[Handler], Handler]:
    """Declare a handler of a view.

    name: its operationId. gives: what it answers, None for an empty answer.
    refuses: problems beside those that every operation has.
    example: a body that could be sent. answer: one that could come back.
    """

    def declare(handler: Handler) -> Handler:
        writes = handler.__name__ != "get" if is_write is None else is_write
        problems = (*_ALWAYS, *refuses, *(_OF_WRITES if writes else ()))
        examples = []
        if example is not None:
            examples.append(OpenApiExample("Request", value=example, request_only=True))
        if answer is not None:
            examples.append(
                OpenApiExample(
                    "Answer", value=answer, response_only=True, status_codes=[str(status)]
                )
            )
        declared: Handler = extend_schema(
            operation_id=name,
            summary=summary,
            description=handler.__doc__ or summary,
            request={"application/json": takes} if takes is not None else None,
            parameters=[
                *([] if query is NoQuery else [query]),
                *([_IDEMPOTENCY] if writes else []),
            ],
            responses={status: gives if gives is not None else _EMPTY} | _problems(problems),
            examples=examples,
        )(handler)
        declared.contract = Contract(takes, query)  # type: ignore[attr-defined]
        return declared

    return declare


_EMPTY = OpenApiResponse(description="Done; there is nothing to say.")
_IDEMPOTENCY = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": r"^[\x21-\x7e]{1,200}$"},
    OpenApiParameter.HEADER,
    description="A name of your own for this request. A repetition under the same name gets the first reply, for a day.",
)


def _problems(codes: Sequence[ProblemCode]) -> dict[Any, Any]:
    by_status: dict[int, list[ProblemCode]] = {}
    for code in codes:
        by_status.setdefault(code.status, []).append(code)
    return {
        (str(status), MEDIA_TYPE): OpenApiResponse(
            ProblemGiven,
            description=" ".join(code.title for code in some),
            examples=[_example(code) for code in some],
        )
        for status, some in sorted(by_status.items())
    }


def _example(code: ProblemCode) -> OpenApiExample:
    errors = {"name": ["This field is required."]} if code is ProblemCode.INVALID_REQUEST else None
    return OpenApiExample(
        code.code,
        value=problem_body(Problem(code, errors=errors), _EXAMPLE_ID),
        response_only=True,
        media_type=MEDIA_TYPE,
        status_codes=[str(code.status)],
    )


class Reason(Taken):
    """Why something is ended."""

    reason = Text(max_length=500, help_text="It stands in the audit trail.")


class Positive(Whole):
    """A limit: at least 1, or null for none of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"min_value": 1, "max_value": 2_147_483_647} | options))
