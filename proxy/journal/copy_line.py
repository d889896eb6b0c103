"""One call as a line of PostgreSQL's COPY text format, in the order of STAGING_COLUMNS."""

import re

from proxy.journal.records import COUNT_MAX, MOMENT_US_MAX, Admission, End

STAGING_COLUMNS = (
    "batch_id",
    "id",
    "admitted_at_us",
    "team_id",
    "key_id",
    "service_account_id",
    "person_id",
    "model_id",
    "deployment_id",
    "provider_id",
    "kind",
    "stream",
    "peer",
    "request_id",
    "purpose",
    "status",
    "code",
    "usage_estimated",
    "reserved_tokens",
    "price_input_micro_usd_per_million",
    "price_cached_micro_usd_per_million",
    "price_output_micro_usd_per_million",
    "http_status",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_micro_usd",
    "duration_us",
    "upstream_us",
    "first_byte_us",
    "attempts",
    "answer_bytes",
)

_NULL = "\\N"
_UNSAFE = re.compile(r"[\x00-\x1f\\]")
_ESCAPES = str.maketrans({"\0": "", "\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def copy_line(batch_id: str, admission: Admission, end: End) -> str:
    """Return the line. Whatever the records hold, PostgreSQL accepts it: one odd call must not hold up the rest.

    batch_id: a UUID as text.
    """
    counts = (
        admission.reserved_tokens,
        admission.price_input_micro_usd_per_million,
        admission.price_cached_micro_usd_per_million,
        admission.price_output_micro_usd_per_million,
        end.http_status,
        end.input_tokens,
        end.cached_tokens,
        end.output_tokens,
        end.reasoning_tokens,
        end.cost_micro_usd,
        end.duration_us,
        end.upstream_us,
        end.first_byte_us,
        end.attempts,
        end.answer_bytes,
    )
    return "\t".join(
        (
            batch_id,
            admission.call_id.hex(),
            str(min(max(admission.admitted_at_us, 0), MOMENT_US_MAX)),
            admission.team_id.hex(),
            admission.key_id.hex(),
            _uuid(admission.service_account_id),
            _uuid(admission.person_id),
            _uuid(admission.model_id),
            _uuid(admission.deployment_id),
            _uuid(admission.provider_id),
            admission.kind.value,
            "t" if admission.stream else "f",
            _text(admission.peer),
            _text(admission.request_id),
            _text(admission.purpose),
            end.status.value,
            _text(end.code),
            "t" if end.usage_estimated else "f",
            *map(str, counts if _all_fit(counts) else map(_bounded, counts)),
        )
    )


def plain_text(text: str) -> str:
    """Return the text without NUL, which PostgreSQL's text type cannot hold."""
    return text.replace("\0", "")


def _uuid(value: bytes | None) -> str:
    return _NULL if value is None else value.hex()


def _text(text: str) -> str:
    return text.translate(_ESCAPES) if _UNSAFE.search(text) else text


def _all_fit(counts: tuple[int, ...]) -> bool:
    return min(counts) >= 0 and max(counts) <= COUNT_MAX


def _bounded(count: int) -> int:
    return min(max(count, 0), COUNT_MAX)
