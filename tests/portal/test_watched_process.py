"""What the walk of all routes is watched by would see a process and a template, so that seeing none says something (T10)."""

import os
import subprocess
import sys

from django.template import engines
from django.template.loader import render_to_string

from tests.watched_process import watching


def test_processes_are_seen() -> None:
    with watching() as seen:
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert "subprocess.Popen" in seen
    with watching() as seen:
        os.system("true")  # noqa: S605 - the event is what is asked for.
    assert seen == ["os.system"]


def test_text_that_is_rendered_as_a_template_is_seen_and_a_file_is_not() -> None:
    with watching() as seen:
        render_to_string("mail/base.txt", {})
    assert seen == []
    with watching() as seen:
        engines["django"].from_string("{{ 7191|add:7 }}").render({})
    assert seen == ["template: {{ 7191|add:7 }}"]
