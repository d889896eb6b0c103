"""`python -m portal.quickstart`: what `make run` runs once the environment is made."""

import argparse
import sys
from pathlib import Path

from portal.embedded.errors import EmbeddedServerError
from portal.quickstart.errors import QuickstartError
from portal.quickstart.stop_request import StopRequest, StopRequestedError
from portal.quickstart.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """Run until someone stops it; 0 after a stop that was asked for, 1 with a reason otherwise."""
    parser = argparse.ArgumentParser(prog="python -m portal.quickstart")
    parser.add_argument("--port", type=int, default=8000, help="the portal's port on 127.0.0.1")
    parser.add_argument("--data-dir", type=Path, default=ROOT / ".latchkey")
    arguments = parser.parse_args()
    try:
        stop = StopRequest()
        with Supervisor(
            root=ROOT, data_dir=arguments.data_dir, port=arguments.port, stop=stop
        ) as it:
            it.start()
            it.watch()
    except StopRequestedError:
        print("\nLatchkey has stopped.", flush=True)
        return 0
    except (QuickstartError, EmbeddedServerError) as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
