"""How a process ends without a word, and how a test waits for what a process has to say."""

import asyncio
import time

import redis

from proxy.leases.book import LeaseBook
from proxy.leases.ending import end_task
from proxy.leases.request import PROCESSES_KEY, STATE_KEY
from tests.proxy.leases.server import StoreServer


async def die(book: LeaseBook, server: StoreServer) -> None:
    """End a book's tasks as kill -9 would, and let the store miss it for long."""
    borrower = book._borrower
    for task in borrower._tasks:
        await end_task(task)
    await book._listener.stop()
    borrower._tasks = []
    with server.client() as client:
        client.hdel(PROCESSES_KEY, borrower._process)


def be_missed(book: LeaseBook, server: StoreServer) -> None:
    """Let the store take a process for gone, as it does after ten seconds without a word."""
    process = book._borrower._process
    with server.client() as client:
        seen_us = int(client.hget(PROCESSES_KEY, process) or 0)
        client.hset(PROCESSES_KEY, process, max(1, seen_us - 20_000_000))
        client.hincrby(STATE_KEY, "woke_us", -30_000_000)


async def wait_for_reports(book: LeaseBook) -> None:
    """Wait until the store has heard everything."""
    deadline = time.monotonic() + 5
    while book._shares.returns or book._borrower._unanswered:
        assert time.monotonic() < deadline, "The store was not told within 5 s."
        await asyncio.sleep(0.02)


def age_epoch(client: redis.Redis, *, seconds: int = 10) -> None:
    """Let the epoch have begun so much earlier."""
    opened_us = int(client.hget(STATE_KEY, "opened_us") or time.time() * 1_000_000)
    client.hset(STATE_KEY, "opened_us", opened_us - seconds * 1_000_000)
    client.hincrby(STATE_KEY, "since_us", -seconds * 1_000_000)
