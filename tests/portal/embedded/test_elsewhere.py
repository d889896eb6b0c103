"""What root's servers keep outside a closed data folder goes when the data folder has gone."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.embedded.account import Account
from portal.embedded.elsewhere import home_for, remove_orphans
from portal.embedded.private_files import make_private_dir

NOBODY_HERE = Account(58_999, 58_999)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Stands where /var/lib does."""
    folder = tmp_path / "var-lib"
    folder.mkdir()
    return folder


@pytest.fixture
def closed_home(tmp_path: Path, elsewhere: Path) -> tuple[Path, Path]:
    """A data folder that another account cannot reach, and its stand-in with a file in it."""
    data_dir = tmp_path / "closed" / "stores"
    data_dir.mkdir(parents=True)
    data_dir.parent.chmod(0o700)
    home = home_for(data_dir, NOBODY_HERE, elsewhere=elsewhere)
    make_private_dir(home / "postgres").joinpath("data").write_text("rows")
    return data_dir, home


def test_stand_in_stays_as_long_as_its_data_folder(
    closed_home: tuple[Path, Path], elsewhere: Path
) -> None:
    data_dir, home = closed_home
    assert home.parent == elsewhere
    for _ in range(2):
        assert home_for(data_dir, NOBODY_HERE, elsewhere=elsewhere) == home
    assert (home / "postgres" / "data").read_text() == "rows"


def test_stand_in_of_a_removed_folder_goes_with_the_next_start_of_anything(
    closed_home: tuple[Path, Path], elsewhere: Path, tmp_path: Path
) -> None:
    data_dir, home = closed_home
    other = tmp_path / "closed" / "other"
    other.mkdir()
    shutil.rmtree(data_dir)
    assert home_for(other, NOBODY_HERE, elsewhere=elsewhere) != home
    assert not home.exists()
    assert len(list(elsewhere.iterdir())) == 1


def test_stand_in_of_a_folder_that_was_made_anew_goes(
    closed_home: tuple[Path, Path], elsewhere: Path
) -> None:
    data_dir, home = closed_home
    shutil.rmtree(data_dir)
    data_dir.mkdir()
    again = home_for(data_dir, NOBODY_HERE, elsewhere=elsewhere)
    assert again != home
    assert list(elsewhere.iterdir()) == [again]


def test_stand_in_of_a_volume_that_is_not_mounted_stays(
    closed_home: tuple[Path, Path], elsewhere: Path
) -> None:
    data_dir, home = closed_home
    note = home / "stands-in-for.json"
    owner = json.loads(note.read_text())
    note.write_text(json.dumps(owner | {"device": owner["device"] + 1}))
    shutil.rmtree(data_dir.parent)
    remove_orphans(elsewhere)
    assert (home / "postgres" / "data").exists()
    note.write_text(json.dumps(owner))
    remove_orphans(elsewhere)
    assert not home.exists()


def leave_unnamed(home: Path) -> None:
    (home / "stands-in-for.json").unlink()


def open_to_all(home: Path) -> None:
    home.chmod(0o777)


def name_by_link(home: Path) -> None:
    note = home / "stands-in-for.json"
    note.replace(home / "note")
    note.symlink_to(home / "note")


def name_nothing(home: Path) -> None:
    (home / "stands-in-for.json").write_text("[]")


@pytest.mark.parametrize("spoil", [leave_unnamed, open_to_all, name_by_link, name_nothing])
def test_what_is_not_surely_ours_is_left_alone(
    closed_home: tuple[Path, Path], elsewhere: Path, spoil: Callable[[Path], None]
) -> None:
    data_dir, home = closed_home
    shutil.rmtree(data_dir)
    spoil(home)
    remove_orphans(elsewhere)
    assert (home / "postgres" / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can give a folder away.")
def test_what_another_account_owns_is_left_alone(
    closed_home: tuple[Path, Path], elsewhere: Path
) -> None:
    data_dir, home = closed_home
    shutil.rmtree(data_dir)
    os.chown(home / "stands-in-for.json", 58_999, 58_999)
    remove_orphans(elsewhere)
    assert home.exists()


def test_folder_that_the_account_reaches_needs_no_stand_in(tmp_path: Path, elsewhere: Path) -> None:
    data_dir = tmp_path / "stores"
    data_dir.mkdir()
    assert home_for(data_dir, None, elsewhere=elsewhere) == data_dir
    assert not list(elsewhere.iterdir())
