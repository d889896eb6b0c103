"""Ports on this machine: whether one is free, said before anything is started."""

import socket

from portal.quickstart.errors import QuickstartError

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without this, connections of an earlier run that linger would count as a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def refuse_taken(port: int) -> None:
    """Raise QuickstartError, with the remedy, if the port cannot be had."""
    if not 1 <= port <= 65_535:
        raise QuickstartError(f"PORT={port} is no port. Choose one: make run PORT=8001")
    if not is_free(port):
        other = next((p for p in range(port + 1, min(port + 100, 65_536)) if is_free(p)), 8001)
        raise QuickstartError(
            f"Port {port} is taken by another program, or is not yours to use. "
            f"Choose another: make run PORT={other}"
        )
