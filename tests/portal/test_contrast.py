"""WCAG 2.2 AA, 1.4.3 and 1.4.11: text stands out by 4.5 to 1 from what it is written on, edges of fields by 3 to 1."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

STYLESHEET = Path("static/latchkey.css").read_text(encoding="utf-8")
LIGHT, DARK = re.findall(r":root \{(.*?)\n\s*\}", STYLESHEET, re.DOTALL)[:2]
GROUNDS = ("page", "surface", "sunken", "hover")
TEXT = (
    *((ink, ground) for ink in ("ink", "quiet", "accent") for ground in GROUNDS),
    ("accent", "accent-soft"),
    *((kind, f"{kind}-soft") for kind in ("ok", "warn", "bad")),
    *((kind, "surface") for kind in ("ok", "warn", "bad")),
    ("bad", "hover"),
    ("ink", "line"),
    ("button-ink", "button"),
    ("button-ink", "button-hover"),
    ("button-ink", "danger"),
    ("button-ink", "danger-hover"),
)
EDGES = (
    *(("edge", ground) for ground in ("page", "surface", "sunken")),
    *((f"series-{number}", "surface") for number in range(1, 6)),
    ("accent", "page"),
)


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("block", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (EDGES, 3.0)], ids=["text", "edges"])
def test_colours_stand_out(block: str, pairs: tuple[tuple[str, str], ...], least: float) -> None:
    colours = tokens(block)
    faint = {
        pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2)
        for pair in pairs
        if contrast(colours[pair[0]], colours[pair[1]]) < least
    }
    assert faint == {}


def test_colours_are_tokens_and_both_schemes_name_the_same() -> None:
    rest = STYLESHEET.replace(LIGHT, "").replace(DARK, "")
    # A QR code is black on white in both, or cameras do not read it.
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rest)) <= {"#ffffff", "#000000"}
    assert tokens(LIGHT).keys() == tokens(DARK).keys()


def test_every_file_the_stylesheet_asks_for_is_there() -> None:
    asked_for = re.findall(r'url\("([^"]+)"\)', STYLESHEET)
    assert asked_for
    assert [name for name in asked_for if finders.find(name) is None] == []
