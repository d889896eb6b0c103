"""Becomes the server it is told to start: under a given account, dying with its parent.

Run by path (`python -I -S launch.py …`), never imported by a server. It is a program of its own,
because code between fork and exec is not safe in a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, uid: int, gid: int, death_signal: int, command: list[str]) -> None:
    """Take the account, arm the death signal and exec; uid -1 keeps the caller's account."""
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # The kernel forgets the death signal when credentials change, so it is armed last.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # A parent that died before the signal was armed would never be noticed.
    if os.getppid() != parent_pid:
        sys.exit("The starting process has ended; not starting " + command[0])
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
