"""A refused form of values as one line, for commands."""

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError


def validation_text(error: ValidationError) -> str:
    """Name each field with what is wrong with it."""
    if not hasattr(error, "error_dict"):
        return "; ".join(error.messages)
    return "; ".join(
        message if name == NON_FIELD_ERRORS else f"{name}: {message}"
        for name, messages in error.message_dict.items()
        for message in messages
    )
