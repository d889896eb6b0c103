"""The portal's settings with the quick hash, and nothing else changed."""

from portal.settings import *  # noqa: F403 - every setting, whatever it is called.

PASSWORD_HASHERS = ["bench.quick_hash.QuickHasher"]
