"""Data folders that the servers' account can reach, removed with their sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portal.embedded.account import choose_account
from portal.embedded.places import socket_dir


@contextmanager
def new_dir() -> Iterator[Path]:
    """Make a folder through which every account may pass (pytest's own is closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="latchkey-embedded-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        data_dir = folder / "stores"
        shutil.rmtree(socket_dir(data_dir, choose_account(data_dir)))
        shutil.rmtree(folder)


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder of the test's own."""
    with new_dir() as folder:
        yield folder


@pytest.fixture(scope="module")
def shared_dir() -> Iterator[Path]:
    """A folder of the module's own."""
    with new_dir() as folder:
        yield folder
