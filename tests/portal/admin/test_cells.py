import pytest

from accounts.admin.cells import micro_usd, moment, pill, text
from tests.portal.admin.world import ESCAPED, HOSTILE


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (12, "$0.000012"),
        (150_000, "$0.15"),
        (75_000, "$0.075"),
        (600_000, "$0.60"),
        (1_000_000, "$1.00"),
        (2_345_678_901, "$2,345.68"),
        (-500_000, "$-0.50"),
        (None, "\N{EN DASH}"),
    ],
)
def test_amounts_keep_what_is_small(amount: int | None, shown: str) -> None:
    assert micro_usd(amount) == shown


def test_text_from_outside_is_escaped_wherever_it_stands() -> None:
    for cell in (pill(HOSTILE), text(HOSTILE)):
        assert HOSTILE not in cell
        assert ESCAPED in cell
    assert moment(None) == "\N{EN DASH}"
