"""How long an exchange may take, phase by phase."""

import msgspec


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds for each phase; the first that runs out ends the exchange.

    connect_s: name, TCP and TLS together. first_byte_s: from the last byte sent to the whole head.
    idle_s: between two pieces of the body; not counted while our own reader is the slow one.
    total_s: everything, connecting and retrying included.
    """

    connect_s: float = 2.0
    first_byte_s: float = 30.0
    idle_s: float = 60.0
    total_s: float = 600.0
