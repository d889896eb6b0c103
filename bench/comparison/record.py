"""What was seen in one run of the comparison, kept as JSON, from which the page is written."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, Self

from bench.load import Sample

FOREIGN_MAX = 0.10


class Part(StrEnum):
    """A part of the comparison."""

    CONNECTIONS = "connections"
    BODIES = "bodies"
    STREAMS = "streams"
    TWO_WORKERS = "two workers"
    KEYS = "keys"
    PART_LOAD = "part load"
    DIRECT = "direct"


@dataclass(frozen=True)
class Observation:
    """One run against one gateway.

    setting: the number of connections, of bytes or of keys, whichever the part is about.
    In the part `direct` the name is of the gateway beside whose run the upstream was called without one.
    """

    part: Part
    setting: int
    round: int
    name: str
    sample: Sample

    @property
    def is_disturbed(self) -> bool:
        """Whether others had more than a tenth of the gateway's cores; the upstream alone shares its core by design."""
        return self.part is not Part.DIRECT and self.sample.foreign_share > FOREIGN_MAX


@dataclass(frozen=True)
class Memory:
    """Resident memory of a gateway's processes at rest, before its first load and some time after its start."""

    name: str
    idle_bytes: int
    later_bytes: int
    later_s: float


@dataclass
class Record:
    """Everything that the page says.

    missing: what was not measured, by part and name, and why.
    """

    began: str
    commit: str
    machine: dict[str, str]
    versions: dict[str, str]
    plan: dict[str, Any]
    took_s: float = 0.0
    observations: list[Observation] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def select(self, part: Part, name: str | None = None) -> Iterator[Observation]:
        """The observations of a part, or of one gateway in it."""
        return (
            one
            for one in self.observations
            if one.part is part and (name is None or one.name == name)
        )

    def names(self, part: Part) -> list[str]:
        """Who was measured in a part, in the order of their first run."""
        return list(dict.fromkeys(one.name for one in self.select(part)))

    def samples(self, part: Part, name: str, setting: int) -> list[Sample]:
        """The runs of a gateway at a setting, by round."""
        return [one.sample for one in self.select(part, name) if one.setting == setting]

    def saturation_per_s(self, name: str, setting: int) -> float:
        """The calls per second at this number of connections."""
        rates = [one.calls_per_s for one in self.samples(Part.CONNECTIONS, name, setting)]
        return median(rates) if rates else 0.0

    def save(self, path: Path) -> None:
        """Write it down whole or not at all."""
        write_whole(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        read = json.loads(path.read_text())
        read["memory"] = [Memory(**one) for one in read["memory"]]
        read["observations"] = [
            Observation(
                **one | {"part": Part(one["part"]), "sample": Sample(*one["sample"])},
            )
            for one in read["observations"]
        ]
        return cls(**read)


def write_whole(path: Path, text: str) -> None:
    """Put a file in place in one step, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f"{path.name}.new")
    staging.write_text(text)
    os.replace(staging, path)  # noqa: PTH105 - the name says that what was there goes.
