"""The ASGI application: inference paths go straight to the pipeline, everything else to Django.

`python -m portal.server` runs it, and any other ASGI server can.
"""

import gc
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup(set_prefix=False)

from portal.checks import refuse_to_boot  # noqa: E402 - Django has to be set up first.
from portal.http_connection import DOOR  # noqa: E402
from portal.page_door import PageDoor  # noqa: E402
from portal.server_process import bound_unread_data, call_on_stop_signal  # noqa: E402
from proxy.asgi_request import AsgiRequest  # noqa: E402
from proxy.challenges import make_challenges  # noqa: E402
from proxy.fast_door import FastDoor, is_inference  # noqa: E402
from proxy.gateway import Gateway, build_gateway  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
_log = logging.getLogger("latchkey.gateway")


class Application:
    """Owns the process's gateway from the server's start to its stop."""

    def __init__(self) -> None:
        refuse_to_boot()
        self._pages = PageDoor(
            ASGIHandler(),
            max_body_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            body_timeout_s=settings.LATCHKEY_BODY_TIMEOUT_S,
            trusted_hops=settings.LATCHKEY_TRUSTED_HOPS,
        )
        self._gateway: Gateway | None = None
        self._door: FastDoor | None = None

    def build(self) -> Gateway:
        """Make the gateway of this process."""
        return build_gateway()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._door is not None and is_inference(scope["path"]):
                await self._door.answer(AsgiRequest(scope, receive, send))
            else:
                await self._pages(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start(scope, send)
            else:
                if self._gateway is not None:
                    await self._gateway.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self, scope: Scope, send: Send) -> None:
        try:
            gateway = self.build()
            await gateway.start()
        except Exception as error:  # noqa: BLE001 - whatever it was, the start has failed.
            # The server goes on without a lifespan that raised, and would then answer without a gateway.
            _log.exception("The gateway does not start.")
            await send({"type": "lifespan.startup.failed", "message": type(error).__name__})
            return
        _spare_the_collector()
        call_on_stop_signal(gateway.begin_stop)
        bound_unread_data(settings.LATCHKEY_WRITE_TIMEOUT_S)
        self._gateway = gateway
        self._door = FastDoor(
            gateway,
            allowed_hosts=settings.ALLOWED_HOSTS,
            challenges=make_challenges(),
            trusted_hops=settings.LATCHKEY_TRUSTED_HOPS,
            max_body_bytes=settings.LATCHKEY_MAX_BODY_BYTES,
            room_bytes=settings.LATCHKEY_BODY_ROOM_BYTES,
        )
        # Servers without a state make no direct connections.
        scope.get("state", {})[DOOR] = self._door.answer
        await send({"type": "lifespan.startup.complete"})


def _spare_the_collector() -> None:
    """What is loaded by now stays until the end: the collector need not walk it again and again.

    Calls leave hardly any cycles behind, so it may also look less often; measured at 5 % of a call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


application = Application()
