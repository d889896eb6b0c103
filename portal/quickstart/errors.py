"""Why `make run` cannot go on, in words a person can act on."""


class QuickstartError(RuntimeError):
    """Something keeps Latchkey from running here; the message says what to do."""
