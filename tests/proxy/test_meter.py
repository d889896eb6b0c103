import math

from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import ParsedCall, Usage, WorstCase
from proxy.meter import cost_micro_usd, estimate_usage
from proxy.route import Price
from proxy.upstreams.openai_chat import ReportedUsage, _Details

PRICES = st.builds(Price, *[st.integers(0, 10**9)] * 3)
CLAIMS = st.integers(-(10**30), 10**30)


def claimed(prompt: int, output: int, cached: int | None, reasoning: int | None) -> Usage:
    return ReportedUsage(
        prompt_tokens=prompt,
        completion_tokens=output,
        prompt_tokens_details=_Details(cached_tokens=cached),
        completion_tokens_details=_Details(reasoning_tokens=reasoning),
    ).to_usage()


@given(CLAIMS, CLAIMS, CLAIMS | st.none(), CLAIMS | st.none(), PRICES)
def test_whatever_an_upstream_claims_costs_nothing_below_nothing(
    prompt: int, output: int, cached: int | None, reasoning: int | None, price: Price
) -> None:
    usage = claimed(prompt, output, cached, reasoning)

    assert 0 <= usage.cached_tokens <= usage.input_tokens <= 10**9
    assert 0 <= usage.reasoning_tokens <= usage.output_tokens <= 10**9
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
