"""One run after another against a field of gateways, in turns, and what it left in the record."""

import time
from collections.abc import Sequence

from bench.comparison.plan import PART_LOAD, USUAL_CONNECTIONS, Plan
from bench.comparison.record import Memory, Observation, Part, Record
from bench.load import Load, Sample, Target, measure
from bench.proof import NotProven

# Enough calls for a median and a 99th percentile to stand for something.
CALLS_WANTED = 250
# How often each connection should be answered; a stream takes a slow gateway several times as long as a call.
ANSWERS_WANTED, ANSWERS_FOR_STREAMS = 10, 30
SETTLE_TIMEOUT_S = 8.0


class Measuring:
    """Calls gateways by a plan, and records each run.

    A gateway that fails at a setting is left out of it from then on, with the reason.
    """

    def __init__(self, plan: Plan, record: Record, *, core: int | None) -> None:
        self.plan = plan
        self.record = record
        self._core = core

    def in_turns(
        self, targets: Sequence[Target], part: Part, loads: dict[int, Load], *, duration_s: float
    ) -> None:
        """Round by round, at each setting, call one gateway after the other."""
        for number in range(self.plan.rounds):
            for setting, load in loads.items():
                for target in targets:
                    lasts_s = self._long_enough(target, load, duration_s)
                    self.observe(target, part, setting, number, load=load, duration_s=lasts_s)

    def added_latency(self, targets: Sequence[Target], direct: Target) -> None:
        """Call each gateway at 30 % of what it can do, and the upstream alone just before and just after."""
        for number in range(self.plan.rounds):
            for target in targets:
                capacity = self.record.saturation_per_s(target.name, USUAL_CONNECTIONS)
                if capacity:
                    self._beside_direct(target, direct, number, rate=PART_LOAD * capacity)

    def _beside_direct(self, target: Target, direct: Target, number: int, *, rate: float) -> None:
        load = Load(calls_per_s=rate)
        lasts_s = self._bounded(CALLS_WANTED / rate, self.plan.part_load_s)
        alone = direct._replace(name=target.name)
        for part, one, duration_s in (
            (Part.DIRECT, alone, self.plan.direct_s),
            (Part.PART_LOAD, target, lasts_s),
            (Part.DIRECT, alone, self.plan.direct_s),
        ):
            self.observe(one, part, USUAL_CONNECTIONS, number, load=load, duration_s=duration_s)

    def observe(
        self,
        target: Target,
        part: Part,
        setting: int,
        number: int,
        *,
        load: Load,
        duration_s: float,
    ) -> Sample | None:
        """Make one run, keep it, and let the gateway come to rest."""
        failed = f"{target.name}, {part} {setting:,}"
        if failed in self.record.missing:
            return None
        try:
            sample = measure(target, duration_s=duration_s, core=self._core, load=load)
        except NotProven as reason:
            self.record.missing[failed] = str(reason)
            print(f"not measured: {failed}: {reason}", flush=True)
            return None
        observation = Observation(part, setting, number + 1, target.name, sample)
        self.record.observations.append(observation)
        print(
            f"{part} {setting:,}, round {number + 1}: {target.name}: {sample.calls_per_s:,.0f} calls/s, "
            f"{sample.cpu_ms_per_call:.3f} ms{', disturbed' if observation.is_disturbed else ''}",
            flush=True,
        )
        # What it does after its last answer would fall on the next in turn.
        target.process.wait_until_idle(timeout_s=SETTLE_TIMEOUT_S)
        return sample

    def _long_enough(self, target: Target, load: Load, duration_s: float) -> float:
        """Long enough for each connection to be answered some times, by what the gateway was seen to do."""
        seen = [one.sample.calls_per_s for one in self.record.select(Part.CONNECTIONS, target.name)]
        if not seen:
            return duration_s
        answers = ANSWERS_FOR_STREAMS if load.stream else ANSWERS_WANTED
        return self._bounded(answers * load.connections / max(seen), duration_s)

    def _bounded(self, wanted_s: float, usual_s: float) -> float:
        return min(max(wanted_s, usual_s), usual_s * self.plan.slow_factor)


class MemoryWatch:
    """What the gateways' processes hold before their first load, and some time after their start."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._began = time.monotonic()
        self._idle = [target.process.read_memory_of_all_bytes() for target in targets]

    def finish(self, *, after_s: float) -> list[Memory]:
        """Wait until so much time has passed, and read again."""
        time.sleep(max(0.0, self._began + after_s - time.monotonic()))
        later_s = time.monotonic() - self._began
        return [
            Memory(target.name, idle, target.process.read_memory_of_all_bytes(), later_s)
            for target, idle in zip(self._targets, self._idle, strict=True)
        ]
