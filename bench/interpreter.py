"""Which Python runs: how it was built changes what a call costs as much as our own code does."""

import platform
from pathlib import Path


def describe_interpreter() -> str:
    """Version, build and compiler, and whether its code stands in the program or in a shared library.

    A build does not tell whether it was guided by a profile: Debian's is, and its own record of its options is silent.
    """
    name = f"{platform.python_implementation()} {platform.python_version()}"
    build = ", ".join(filter(None, platform.python_build()))
    place = "a shared library" if _is_shared() else "one program"
    return f"{name} ({build}; {platform.python_compiler()}), {place}"


def _is_shared() -> bool:
    return "/libpython" in Path("/proc/self/maps").read_text()
