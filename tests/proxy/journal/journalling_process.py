"""A process that journals calls until it is killed, and says on standard output what it has done.

`a` and an id: admitted. `e` and an id: ended. Each line is written after the journal has returned.
"""

import os
import random
import sys

from proxy.journal.journal import Journal
from tests.proxy.journal.calls import admission, end_of


def main() -> None:
    """Admit calls, keep a few open, and end them in any order."""
    journal = Journal(sys.argv[1], segment_bytes=32_768, max_bytes=64 << 20)
    journal.open()
    open_calls = []
    while True:
        call = admission()
        journal.admit(call)
        os.write(1, f"a {call.call_id.hex()}\n".encode())
        open_calls.append(call)
        while len(open_calls) > 20:
            ended = open_calls.pop(random.randrange(len(open_calls)))
            journal.end(end_of(ended))
            os.write(1, f"e {ended.call_id.hex()}\n".encode())


if __name__ == "__main__":
    main()
