"""`python -m bench` lists the proofs; with a NAME it runs one, and exits 0 where it holds."""

import signal
import sys
from types import FrameType

from bench import (
    answers,
    bodies,
    call,
    compare,
    disk_full,
    gate,
    jwt_attacks,
    kill9,
    ledger,
    memory,
    oauth_clients,
    overshoot,
    pages,
    refresh_race,
    revocation,
    rotation,
    scale,
    schema,
    speed,
    store_loss,
    story,
    streams,
    timing,
    ways_in_cost,
    windows,
)
from bench.proof import NotProven, Proof

PROOFS: tuple[Proof, ...] = (
    story,
    pages,
    call,
    compare,
    speed,
    bodies,
    answers,
    streams,
    revocation,
    rotation,
    ledger,
    kill9,
    disk_full,
    gate,
    memory,
    overshoot,
    windows,
    store_loss,
    scale,
    schema,
    ways_in_cost,
    oauth_clients,
    timing,
    refresh_race,
    jwt_attacks,
)


def list_proofs() -> int:
    """Print each proof's name and promise."""
    print("make prove WHAT=name, where name is one of:")
    for proof in PROOFS:
        print(f"  {proof.NAME:<15}{proof.PROMISE}")
    return 0


def run_proof(name: str) -> int:
    """Run one proof; its last line is the figure against the target."""
    proof = next((proof for proof in PROOFS if name == proof.NAME), None)
    if proof is None:
        known = ", ".join(proof.NAME for proof in PROOFS)
        print(f"There is no proof named {name!r}; there are {known}.", file=sys.stderr)
        return 2
    print(f"{proof.NAME}: {proof.PROMISE}", flush=True)
    try:
        verdict = proof.run()
    except NotProven as missing:
        print(f"{name}: NOT PROVEN: {missing}")
        return 1
    outcome = "holds" if verdict.held else "FALLS SHORT"
    print(f"{name}: {verdict.figure}; target: {verdict.target}; {outcome}")
    return 0 if verdict.held else 1


def _end(number: int, _frame: FrameType | None) -> None:
    # Leaving through an exception lets every context manager end what it started.
    raise SystemExit(128 + number)


def main() -> int:
    """Read the command line."""
    signal.signal(signal.SIGTERM, _end)
    return run_proof(sys.argv[1]) if len(sys.argv) > 1 else list_proofs()


if __name__ == "__main__":
    sys.exit(main())
