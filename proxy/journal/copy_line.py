"""One call as a line of PostgreSQL's COPY text format, in the order of STAGING_COLUMNS."""

import re
from functools import lru_cache

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
    "input_audio_tokens",
    "output_audio_tokens",
    "price_reasoning_micro_usd_per_million",
    "price_audio_input_micro_usd_per_million",
    "price_audio_output_micro_usd_per_million",
)

_NULL = "\\N"
_COUNTS = "\t".join(["%d"] * 17)
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
        end.input_audio_tokens,
        end.output_audio_tokens,
    )
    texts: tuple[str, ...] = (admission.peer, admission.request_id, admission.purpose, end.code)
    if _UNSAFE.search("".join(texts)):
        texts = tuple(text.translate(_ESCAPES) for text in texts)
    peer, request_id, purpose, code = texts
    return "\t".join(
        (
            batch_id,
            admission.call_id.hex(),
            str(min(max(admission.admitted_at_us, 0), MOMENT_US_MAX)),
            _whose(
                admission.team_id,
                admission.key_id,
                admission.service_account_id,
                admission.person_id,
                admission.model_id,
                admission.deployment_id,
                admission.provider_id,
            ),
            admission.kind,
            "t" if admission.stream else "f",
            peer,
            request_id,
            purpose,
            end.status,
            code,
            "t" if end.usage_estimated else "f",
            # Half the time of a text for each of them.
            _COUNTS % (counts if _all_fit(counts) else tuple(map(_bounded, counts))),
            _prices(
                admission.price_reasoning_micro_usd_per_million,
                admission.price_audio_input_micro_usd_per_million,
                admission.price_audio_output_micro_usd_per_million,
            ),
        )
    )


def plain_text(text: str) -> str:
    """Return the text without NUL, which PostgreSQL's text type cannot hold."""
    return text.replace("\0", "")


@lru_cache(maxsize=4096)
def _whose(*ids: bytes | None) -> str:
    """The ids as columns, kept for those that call again and again."""
    return "\t".join([_NULL if one is None else one.hex() for one in ids])


@lru_cache(maxsize=1024)
def _prices(*prices: int | None) -> str:
    """The prices as columns; there are a few for each model."""
    return "\t".join([_NULL if price is None else str(_bounded(price)) for price in prices])


def _all_fit(counts: tuple[int, ...]) -> bool:
    return min(counts) >= 0 and max(counts) <= COUNT_MAX


def _bounded(count: int) -> int:
    return min(max(count, 0), COUNT_MAX)
