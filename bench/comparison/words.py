"""What the page says besides its figures."""

TRIAL = "**This was a trial of the measurement: its figures say nothing.**"
READING = (
    "CPU per call is what counts: it is what a call costs, whatever else the machine does. None of the others does what a "
    "governed call of Latchkey does, which knows identities that can be revoked within a second, holds limits and budgets "
    "that no number of processes overshoots, and enters each call in a ledger. nginx and Envoy hold the key against one "
    "fixed text; LiteLLM has its master key and no database; Portkey and MLflow's gateway ask for no key. *Ungoverned* is "
    "Latchkey's own door, pipeline and client with nobody asked, limited or recorded: the difference is what governing costs."
)
FULL_LOAD = (
    "`>`: the gateway did not have its core full, because the load or the upstream was the limit or others were in the way, "
    "so that it could do more."
)
LATENCY = (
    "At 30 % of what each did with 64 connections, sent from 64 connections at chance moments. Added is what a call took longer "
    "than one sent at the same rate to the upstream itself, just before and just after; A/A is how far those two runs without a "
    "gateway lay apart, so that a smaller difference says nothing. The 99th percentile is left out below 200 calls a run."
)
STREAMS = (
    "The upstream pauses 2 ms after each event, which sets a least time for a stream; a gateway that does not fill its core "
    "waits for it (`>`), and its CPU per stream is the figure to compare."
)
TWO_WORKERS = (
    "As on one core, but with two workers, and nothing pinned: gateway, load and upstream share both cores as the system "
    "divides them. Calls per second are of the whole machine, and are lower the more the load and the upstream need."
)
KEYS = (
    "A hundred keys of a Latchkey call in turns with 64 connections, where there are as many keys as the first column says. "
    "Each has limits of its own. nginx and Envoy hold one fixed text, LiteLLM without a database has one key, and Portkey and "
    "MLflow's gateway have none, so there is nothing to set beside it."
)
MEMORY = (
    "Resident memory of all of a gateway's processes, in MB: started and called twenty times; and later, when all runs on one "
    "core were over. What processes share counts for each. Latchkey also needs PostgreSQL, Valkey and a worker, which the "
    "others do without."
)
DISTURBED = "A run counts as disturbed where other processes had over a tenth of the gateway's cores. They stay in the medians."
METHOD = (
    (
        "In each part everything is running at once and is called in turn, round after round, so that whatever the machine does in "
        "between falls on all. What stands in the tables is the median of the rounds."
    ),
    (
        "On one core: each gateway is pinned to the first core; load (wrk, one thread), upstream, and Latchkey's PostgreSQL, Valkey "
        "and worker are pinned to the second. After each run the gateway is left to come to rest."
    ),
    "CPU per call is user and system time of all the gateway's processes from `/proc`, by the calls that were answered.",
    "The upstream is nginx answering with one fixed reply; for streams it is a small server that sends fixed events.",
    (
        "Every gateway that checks keys has to refuse a wrong one before it is measured, and one that fails a single call of a run "
        "is left out of that setting, and named above."
    ),
    (
        "nginx stands there with `auth_request` in two forms. Inside one process the sub-request costs some microseconds; over "
        "HTTP, where a server that knows the keys answers it, about as much again as proxying the call. The target stands on the "
        "latter."
    ),
    (
        "Versions are pinned in `bench/rivals/pinned/`. Each gateway is configured as its own documentation says, with one "
        "provider, one model, and logs at errors or warnings where that can be set."
    ),
)
LIMITS = (
    (
        "One machine of two cores: load and upstream share a core with Latchkey's servers, and disturb a gateway on the other "
        "through the shared caches. Figures of two cores say little about sixty-four."
    ),
    "The loopback is no network, and plain HTTP no TLS.",
    (
        "wrk sends the next call when the last one is answered, so latencies at full load are those of a closed loop. At 30 % its "
        "pauses are chance, in whole milliseconds."
    ),
    (
        "Where a run ends, a call on each connection is given up: its CPU counts and the call does not. Gateways that answer few calls "
        "are called for longer, for up to ten answers a connection, so that this is a tenth or so; below three nothing is told."
    ),
    "Memory counts what processes share more than once, and CPU leaves out what the kernel does in interrupts.",
    "CPU of PostgreSQL, Valkey and the worker, which take what Latchkey records, is not in its CPU per call.",
    "The time to a stream's first event is not measured: wrk tells the whole stream's time alone.",
    "All calls are alike, and a hundred keys at most call.",
)
