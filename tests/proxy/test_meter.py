import math

from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import ParsedCall, Usage, WorstCase
from proxy.meter import cost_micro_usd, estimate_usage
from proxy.route import Price
from proxy.upstreams.openai_chat import ReportedUsage, _Details

PRICES = st.builds(Price, *[st.integers(0, 10**9)] * 3, *[st.integers(0, 10**9) | st.none()] * 3)
CLAIMS = st.integers(-(10**30), 10**30)


def claimed(
    prompt: int,
    output: int,
    cached: int | None,
    reasoning: int | None,
    heard: int | None = None,
    spoken: int | None = None,
) -> Usage:
    return ReportedUsage(
        prompt_tokens=prompt,
        completion_tokens=output,
        prompt_tokens_details=_Details(cached_tokens=cached, audio_tokens=heard),
        completion_tokens_details=_Details(reasoning_tokens=reasoning, audio_tokens=spoken),
    ).to_usage()


@given(CLAIMS, CLAIMS, st.tuples(*[CLAIMS | st.none()] * 4), PRICES)
def test_whatever_an_upstream_claims_costs_nothing_below_nothing(
    prompt: int,
    output: int,
    parts: tuple[int | None, int | None, int | None, int | None],
    price: Price,
) -> None:
    usage = claimed(prompt, output, *parts)

    assert min(usage.cached_tokens, usage.input_audio_tokens) >= 0
    assert min(usage.reasoning_tokens, usage.output_audio_tokens) >= 0
    assert usage.cached_tokens + usage.input_audio_tokens <= usage.input_tokens <= 10**9
    assert usage.reasoning_tokens + usage.output_audio_tokens <= usage.output_tokens <= 10**9
    assert 0 <= cost_micro_usd(usage, price) < 2**63


@given(st.integers(0, 10**9), st.integers(0, 10**9), PRICES)
def test_a_cost_is_exact_and_rounded_up_once(prompt: int, output: int, price: Price) -> None:
    usage = Usage(input_tokens=prompt, output_tokens=output)
    exact = prompt * price.input + output * price.output

    cost = cost_micro_usd(usage, price)
    assert exact <= cost * 1_000_000 < exact + 1_000_000


def test_cached_input_has_its_own_price() -> None:
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=10)

    assert cost_micro_usd(usage, Price(1000, 100, 0)) == 600 + 40


def test_reasoning_and_audio_have_prices_of_their_own_and_otherwise_those_of_the_whole() -> None:
    million = 1_000_000
    usage = claimed(10 * million, 10 * million, 1 * million, 2 * million, 3 * million, 4 * million)

    assert cost_micro_usd(usage, Price(100, 10, 1000)) == 9 * 100 + 10 + 10 * 1000
    apart = Price(100, 10, 1000, reasoning=2000, audio_input=700, audio_output=9000)
    assert cost_micro_usd(usage, apart) == 6 * 100 + 10 + 3 * 700 + 4 * 1000 + 2 * 2000 + 4 * 9000
    free = Price(100, 10, 1000, reasoning=0, audio_input=0, audio_output=0)
    assert cost_micro_usd(usage, free) == 6 * 100 + 10 + 4 * 1000


def test_parts_that_claim_more_than_their_whole_are_cut_audio_last() -> None:
    usage = claimed(10, 10, 8, 9, 6, 7)

    assert (usage.cached_tokens, usage.input_audio_tokens) == (4, 6)
    assert (usage.reasoning_tokens, usage.output_audio_tokens) == (3, 7)


@given(CLAIMS, CLAIMS, st.tuples(*[CLAIMS | st.none()] * 4), PRICES)
def test_no_token_costs_more_than_the_dearest(
    prompt: int,
    output: int,
    parts: tuple[int | None, int | None, int | None, int | None],
    price: Price,
) -> None:
    usage = claimed(prompt, output, *parts)
    most = usage.input_tokens * price.dearest_input + usage.output_tokens * price.dearest_output

    assert (cost_micro_usd(usage, price) - 1) * 1_000_000 < most or most == 0


@given(
    st.integers(0, 10**7),
    st.integers(0, 10**6),
    st.integers(0, 10**7),
    st.integers(0, 10**5),
    st.booleans(),
)
def test_an_estimate_stays_within_what_was_reserved(
    prompt: int, cap: int, output_bytes: int, events: int, reaches_out: bool
) -> None:
    call = ParsedCall(model="m", members={}, counted_bytes=prompt * 2, reaches_out=reaches_out)
    usage = estimate_usage(
        call, WorstCase(prompt, cap, cap), output_bytes=output_bytes, output_events=events
    )

    assert usage.estimated
    assert 0 <= usage.input_tokens <= prompt
    assert usage.output_tokens == min(cap, max(events, math.ceil(output_bytes / 4)))
