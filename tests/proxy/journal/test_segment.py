import subprocess
import sys
from pathlib import Path

import pytest

from proxy.journal.segment import Segment

REFUSED_A_MAPPING = """
import resource, sys
from pathlib import Path
from proxy.journal.segment import Segment
path = Path(sys.argv[1])
used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used_bytes + (32 << 20), resource.RLIM_INFINITY))
try:
    Segment.create(path, 1, 128 << 20)
except OSError:
    assert not path.exists(), "The file was left behind."
else:
    raise AssertionError("The mapping was not refused.")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
Segment.create(path, 1, 128 << 20).discard()
"""


def test_a_write_beyond_the_room_is_refused_and_counts_for_nothing(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "1.seg", 1, 8192)
    segment.write(b"x" * 8000)
    with pytest.raises(OSError, match="no room left"):
        segment.write(b"y" * 193)
    assert segment.written_bytes == 8000
    segment.write(b"z" * 192)
    segment.close()
    assert segment.path.read_bytes() == b"x" * 8000 + b"z" * 192


def test_a_closed_segment_gives_unused_space_back(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "1.seg", 1, 8192)
    segment.write(b"x" * 10)
    segment.sync()
    segment.close()
    segment.close()
    assert segment.path.stat().st_size == 10


@pytest.mark.skipif(
    sys.platform != "linux", reason="Only Linux limits a process's address space so."
)
def test_a_refused_mapping_leaves_no_file_behind(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", REFUSED_A_MAPPING, str(tmp_path / "1.seg")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert child.returncode == 0, child.stderr


def resident_bytes(path: Path) -> int:
    """How much of the mapped file this process holds, as Linux tells it."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    assert any(line.endswith(str(path)) for line in lines)
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Rss:"))


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells what a mapping holds.")
def test_pages_that_are_full_are_held_by_the_file_alone(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "1.seg", 1, 4 << 20)
    first, then = b"x" * (1 << 20), b"y" * ((1 << 20) + 10)
    segment.write(first)
    assert resident_bytes(segment.path) >= len(first)
    segment.give_memory_back()
    assert resident_bytes(segment.path) == 0
    segment.write(then)
    segment.give_memory_back()
    assert resident_bytes(segment.path) < 1 << 18
    segment.write(b"z")
    segment.close()
    assert segment.path.read_bytes() == first + then + b"z"
