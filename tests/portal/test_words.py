"""Whatever people read can be translated: every sentence of the pages and the admin goes through gettext."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
MODULES = sorted(
    found
    for pattern in ("*/admin/*.py", "*/pages/*.py", "portal/admin_*.py", "portal/navigation.py")
    for found in ROOT.glob(pattern)
    if ".venv" not in found.parts and "tests" not in found.parts
)
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext"}
NO_WORDS = {"TypeVar"}
# Names are the same in every language.
NAMES = {"Latchkey", "curl", "Python", "JavaScript", "JSON", "CSV", "UTC", "ID", "URL"}
TAGS = re.compile(
    r"{%\s*comment\s.*?{%\s*endcomment\s*%}|{%\s*comment\s*%}.*?{%\s*endcomment\s*%}"
    r"|{%\s*blocktranslate.*?{%\s*endblocktranslate\s*%}|{#.*?#}|{%.*?%}|{{.*?}}|<!--.*?-->",
    re.DOTALL,
)
SAID_BY_ATTRIBUTES = re.compile(r"""\s(?:aria-label|title|placeholder|alt)=(["'])(.*?)\1""")
ELEMENT = re.compile(r"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
# The theme's font draws a symbol for its name.
ICON = re.compile(r"<span class=\"[^\"]*material-symbols[^\"]*\">\w+</span>")
WORD = re.compile(r"[^\W\d_]{2,}")


def unmarked_in_template(text: str) -> list[str]:
    """The words of a template that no tag translates."""
    plain = TAGS.sub(" ", text)
    plain = re.sub(r"<(script|style)\b.*?</\1>", " ", plain, flags=re.DOTALL)
    plain = ICON.sub(" ", plain)
    said = [found[2] for found in SAID_BY_ATTRIBUTES.finditer(plain)]
    said.append(ELEMENT.sub(" ", plain))
    words = (re.sub(r"&\w+;", " ", part) for part in said)
    return [word for part in words for word in WORD.findall(part) if word not in NAMES]


def unmarked_in_module(source: str) -> list[str]:
    """The sentences and titles of a module that are in no call of gettext."""
    return [said for said in _strings(ast.parse(source), is_marked=False) if is_for_people(said)]


def is_for_people(said: str) -> bool:
    """Whether it is a sentence, or a title; markup, addresses, methods and types are none."""
    if "<" in said or said.startswith(("?", "{", "/")) or "[" in said:
        return False
    return bool(re.search(r"[^\W\d_]{2,} [^\W\d_]|[^\W\d_] [^\W\d_]{2,}", said)) or bool(
        re.match(r"[A-Z][a-z]+$", said) and said not in {"True", "False", "Allow", "Location"}
    )


def _strings(node: ast.AST, *, is_marked: bool) -> Iterator[str]:
    """The strings below the node that are neither documentation, annotations nor marked; a template's parts apart."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        is_marked = is_marked or name in MARKS | NO_WORDS
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and not is_marked:
        yield node.value
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"} or (isinstance(node, ast.Expr) and _is_text(value)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _strings(child, is_marked=is_marked)


def _is_text(value: object) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_words_of_template_are_translated(path: Path) -> None:
    assert unmarked_in_template(path.read_text()) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_of_module_are_translated(path: Path) -> None:
    assert unmarked_in_module(path.read_text()) == []


def test_there_is_something_to_prove() -> None:
    assert len(TEMPLATES) > 50
    assert {"accounts/admin/keys.py", "proxy/pages/usage.py", "portal/admin_home.py"} <= {
        str(path.relative_to(ROOT)) for path in MODULES
    }


@pytest.mark.parametrize(
    ("template", "unmarked"),
    [
        ("<p>{% translate 'Keys' %} · {{ name }}</p>", []),
        ("<p>Your keys</p>", ["Your", "keys"]),
        ("<a aria-label='Close'>{{ x }}</a>", ["Close"]),
        ("{% blocktranslate %}All of them{% endblocktranslate %}", []),
        ("{% comment %}What it takes.{% endcomment %}<b>&nbsp;</b>", []),
    ],
)
def test_word_that_is_not_translated_in_a_template_is_found(
    template: str, unmarked: list[str]
) -> None:
    assert unmarked_in_template(template) == unmarked


@pytest.mark.parametrize(
    ("source", "unmarked"),
    [
        ('title = gettext_lazy("Keys that end")', []),
        ('title = "Keys that end"', ["Keys that end"]),
        ('facts = [("Name", found.name)]', ["Name"]),
        ('facts = [(_("Name"), found.name)]', []),
        ('said = f"{count} of them"', [" of them"]),
        ('said = _("%(count)s of them") % {"count": count}', []),
        ('def f() -> "list[str]":\n    """Return it."""\n    return "a_name"', []),
    ],
)
def test_sentence_that_is_not_translated_in_a_module_is_found(
    source: str, unmarked: list[str]
) -> None:
    assert unmarked_in_module(source) == unmarked
