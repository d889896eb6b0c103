"""The composition root of one gateway process: makes the parts, starts and stops them in order, says how they are."""

import asyncio
import logging
import uuid
from dataclasses import dataclass

from django.conf import settings

from accounts.change_feed import ChangeFeed, Changes
from accounts.key_use import note_key_use
from proxy import readiness
from proxy.errors import Code
from proxy.identities import FRESH_S, Identities
from proxy.journal.journal import Journal
from proxy.journal.shipper import Shipper
from proxy.leases.book import LeaseBook
from proxy.limit import Limiter
from proxy.open_calls import OpenCalls
from proxy.pipeline import Pipeline
from proxy.principals import load_principal
from proxy.record import Recorder
from proxy.route import load_routes
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.timeouts import Timeouts

DRAIN_S = 20.0
# Long enough that a thousand calls arriving at once do not take their own queue for a dead store.
STORE_TIMEOUT_S = 0.8
FIRST_POLL_S = 10.0
_log = logging.getLogger("latchkey.gateway")


@dataclass
class Gateway:
    """Everything one process answers calls with."""

    process_id: str
    feed: ChangeFeed
    identities: Identities
    book: LeaseBook
    journal: Journal
    client: UpstreamClient
    open_calls: OpenCalls
    recorder: Recorder
    pipeline: Pipeline
    shipper: Shipper | None = None

    async def start(self) -> None:
        """Open the journal first: a call that cannot be recorded is not made."""
        self.journal.open()
        self.shipper = Shipper(
            self.journal, settings.LATCHKEY_DATABASE_URL, note_key_use=note_key_use
        )
        self.shipper.start()
        await self.book.start()
        await self.feed.start()
        self.open_calls.start()
        await self._first_poll()
        readiness.announce(self.readiness)

    async def stop(self) -> None:
        """Let running calls end for a while, then cut them, give leases back and ship what is journalled."""
        readiness.withdraw()
        deadline = asyncio.get_running_loop().time() + DRAIN_S
        # Polled: stopping and starting are too rare to keep an event for on every call.
        while len(self.open_calls) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        self.open_calls.cut_all(Code.STOPPING)
        await asyncio.sleep(0)
        await self.open_calls.stop()
        await self.feed.stop()
        await self.book.stop()
        await self.client.aclose()
        self.identities.close()
        if self.shipper is not None:
            await asyncio.to_thread(self.shipper.stop, DRAIN_S)
        self.journal.close()

    def readiness(self) -> dict[str, bool]:
        """Say of each part whether calls can rest on it now."""
        return {
            "gateway": True,
            "identities": self.identities.may_be_believed,
            "change_log": self.feed.age_s <= FRESH_S,
            "limits": not self.book.store_is_away,
            "journal": self.recorder.is_recording,
        }

    async def _first_poll(self) -> None:
        """Without the change log nobody can be known; start anyway, so that health can say so."""
        deadline = asyncio.get_running_loop().time() + FIRST_POLL_S
        while self.feed.age_s > FRESH_S and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def build_gateway() -> Gateway:
    """Make a gateway from Django's settings; nothing is opened yet."""
    process_id = uuid.uuid4().hex
    feed = ChangeFeed(settings.LATCHKEY_DATABASE_LISTEN_URL, on_changes=lambda _: None)
    identities = Identities(
        load_principal=load_principal,
        load_routes=load_routes,
        feed_age_s=lambda: feed.age_s,
        grace_s=settings.LATCHKEY_IDENTITY_GRACE_S,
    )
    open_calls = OpenCalls(identities, body_timeout_s=settings.LATCHKEY_BODY_TIMEOUT_S)

    def apply(changes: Changes) -> None:
        identities.apply(changes)
        open_calls.apply(changes)

    feed.on_changes = apply
    book = LeaseBook(
        settings.LATCHKEY_LIMITS_URL, process_id=process_id, call_timeout_s=STORE_TIMEOUT_S
    )
    journal = Journal(
        settings.LATCHKEY_JOURNAL_DIR,
        segment_bytes=settings.LATCHKEY_JOURNAL_SEGMENT_BYTES,
        max_bytes=settings.LATCHKEY_JOURNAL_MAX_BYTES,
        sync=settings.LATCHKEY_JOURNAL_SYNC,
    )
    client = UpstreamClient(
        networks=settings.LATCHKEY_PROVIDER_NETWORKS,
        max_connections_per_origin=settings.LATCHKEY_UPSTREAM_CONNECTIONS,
    )
    recorder = Recorder(journal, call_log=settings.LATCHKEY_CALL_LOG)
    pipeline = Pipeline(
        identities=identities,
        limiter=Limiter(book),
        recorder=recorder,
        client=client,
        open_calls=open_calls,
        timeouts=Timeouts(
            connect_s=settings.LATCHKEY_CONNECT_TIMEOUT_S,
            first_byte_s=settings.LATCHKEY_FIRST_BYTE_TIMEOUT_S,
            idle_s=settings.LATCHKEY_IDLE_TIMEOUT_S,
            total_s=settings.LATCHKEY_TOTAL_TIMEOUT_S,
        ),
        max_answer_bytes=settings.LATCHKEY_MAX_ANSWER_BYTES,
    )
    return Gateway(
        process_id, feed, identities, book, journal, client, open_calls, recorder, pipeline
    )
