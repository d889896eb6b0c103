"""A password hash of few rounds, for seeing what else a sign-in does: a thousandth of the hash's own time would hide it."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """The portal's own, in a thousandth of its rounds."""

    iterations = PBKDF2PasswordHasher.iterations // 1000
