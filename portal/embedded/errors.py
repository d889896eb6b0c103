"""What can go wrong with the embedded servers, in words a person can act on."""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot run here; the message says what was seen and what to do."""
