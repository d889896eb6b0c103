"""The ledger, and the usage counted from it, in the admin."""

from proxy.admin import calls, explain, usage

__all__ = ["calls", "explain", "usage"]
