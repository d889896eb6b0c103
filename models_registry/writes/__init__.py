"""Named writes: each checks, writes and audits in one transaction, whoever calls it."""
