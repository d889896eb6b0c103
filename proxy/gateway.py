"""The composition root of one gateway process: makes the parts, starts and stops them in order, says how they are."""

import asyncio
import logging
import uuid
from dataclasses import dataclass

from django.conf import settings

from accounts.change_feed import ChangeFeed, Changes
from accounts.decoys.known import load_decoys
from accounts.key_use import note_key_use, note_old_secret_use
from proxy import readiness
from proxy.closed_periods import reopen_periods
from proxy.decoy_watch import DecoyWatch
from proxy.errors import Code
from proxy.identities import FRESH_S, Identities
from proxy.journal.journal import Journal
from proxy.journal.shipper import Shipper
from proxy.leases.absence import Absence
from proxy.leases.book import LeaseBook
from proxy.limit import Limiter
from proxy.open_calls import OpenCalls
from proxy.pipeline import Pipeline
from proxy.principals import load_principal
from proxy.record import Recorder
from proxy.reopening import Reopening
from proxy.route import load_routes
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.timeouts import Timeouts

# After the drain: for calls that were cut to say so, and then for what is journalled to be shipped.
CUT_S = 2.0
SHIP_S = 20.0
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
    reopening: Reopening
    journal: Journal
    client: UpstreamClient
    open_calls: OpenCalls
    recorder: Recorder
    pipeline: Pipeline
    decoys: DecoyWatch
    drain_s: float
    shipper: Shipper | None = None
    _stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the journal first: a call that cannot be recorded is not made."""
        self.journal.open()
        self.shipper = Shipper(
            self.journal,
            settings.LATCHKEY_DATABASE_URL,
            note_key_use=note_key_use,
            note_old_secret_use=note_old_secret_use,
        )
        self.shipper.start()
        self.reopening.start()
        await self.book.start()
        await self.feed.start()
        self.open_calls.start()
        await self._first_poll()
        readiness.announce(self.readiness)

    @property
    def is_behind(self) -> bool:
        """Whether the ledger may lack calls that were over some time ago."""
        return self.shipper is not None and self.shipper.is_behind

    @property
    def is_stopping(self) -> bool:
        """Whether new calls are refused."""
        return self._stopping is not None

    def begin_stop(self) -> None:
        """Refuse new calls from now on, and end what there is without waiting for the server, which waits for us."""
        if self._stopping is None:
            readiness.withdraw()
            self._stopping = asyncio.ensure_future(self._stop())

    async def stop(self) -> None:
        """Let running calls end for a while, then cut them, give leases back and ship what is journalled."""
        self.begin_stop()
        if self._stopping is not None:
            await self._stopping

    async def _stop(self) -> None:
        await self._no_calls_within(self.drain_s)
        self.open_calls.cut_all(Code.STOPPING)
        await self._no_calls_within(CUT_S)
        await self.open_calls.stop()
        await self.feed.stop()
        await self.reopening.stop()
        await self.book.stop()
        await self.client.aclose()
        self.identities.close()
        await asyncio.to_thread(self.decoys.close)
        self.recorder.close()
        if self.shipper is not None:
            await asyncio.to_thread(self.shipper.stop, SHIP_S)
        self.journal.close()
        _log.info("Everything is settled; the process may end.")

    async def _no_calls_within(self, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        # Polled: stopping and starting are too rare to keep an event for on every call.
        while len(self.open_calls) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

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
    open_calls = OpenCalls(
        identities,
        body_timeout_s=settings.LATCHKEY_BODY_TIMEOUT_S,
        write_timeout_s=settings.LATCHKEY_WRITE_TIMEOUT_S,
        call_timeout_s=settings.LATCHKEY_BODY_TIMEOUT_S
        + settings.LATCHKEY_TOTAL_TIMEOUT_S
        + settings.LATCHKEY_WRITE_TIMEOUT_S,
    )

    decoys = DecoyWatch(load_decoys)

    def apply(changes: Changes) -> None:
        identities.apply(changes)
        decoys.apply(changes)
        open_calls.apply(changes)

    feed.on_changes = apply

    def is_behind() -> bool:
        return gateway.is_behind

    reopening = Reopening(reopen_periods)
    book = LeaseBook(
        settings.LATCHKEY_LIMITS_URL,
        process_id=process_id,
        call_timeout_s=STORE_TIMEOUT_S,
        absence=Absence(
            refuses_budgets=settings.LATCHKEY_BUDGETS_WITHOUT_STORE == "refuse",
            refuses_rates=settings.LATCHKEY_RATES_WITHOUT_STORE == "refuse",
        ),
        on_closed=reopening.want,
        is_behind=is_behind,
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
    gateway = Gateway(
        process_id,
        feed,
        identities,
        book,
        reopening,
        journal,
        client,
        open_calls,
        recorder,
        pipeline,
        decoys,
        drain_s=settings.LATCHKEY_DRAIN_S,
    )
    return gateway
