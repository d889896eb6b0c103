"""How far the longest walks go: in the suite a share of what is alike, and in the proof `gate` all of it."""

import os

# bench/gate.py sets it.
IS_WHOLE = os.environ.get("LATCHKEY_WHOLE_WALKS") == "1"
