"""The same door, pipeline, client and server with nobody asked who they are, and nothing limited or recorded.

It exists to measure what governance costs, and is no part of the product: no setting of a gateway can do this.
"""

from typing import TYPE_CHECKING, Any

from portal.asgi import Application
from proxy.exchange import Allowance, Headers, ParsedCall, Usage
from proxy.gateway import Gateway
from proxy.identities import Identities
from proxy.leases.held import Held
from proxy.limit import Limiter, worst_case
from proxy.limit_plan import Plan
from proxy.principal import Principal
from proxy.record import Recorder
from proxy.route import Route

if TYPE_CHECKING:
    # It leads to models, which can be imported only once the application has set Django up.
    from accounts.ways_in.presented import Presented

_NOTHING_HELD = Held([], 0.0)


class OpenToAll(Identities):
    """Remembers the first caller and takes everybody after it for the same."""

    first: Principal | None = None

    def known(self, credential: str) -> Principal | None:
        return self.first

    async def find(self, presented: "Presented", *, peer: str | None) -> Principal | None:
        self.first = await super().find(presented, peer=peer)
        return self.first


class Unlimited(Limiter):
    """Reserves nothing."""

    async def reserve(self, plan: Plan, call: ParsedCall, route: Route) -> Allowance:
        return Allowance(_NOTHING_HELD, worst_case(call, route))

    def settle(self, allowance: Allowance, usage: Usage) -> None:
        """Nothing was held."""

    def release(self, allowance: Allowance) -> None:
        """Nothing was held."""

    def headers(self, plan: Plan) -> Headers:
        return []


class Silent(Recorder):
    """Writes nothing down."""

    def admit(self, *args: Any, **facts: Any) -> None:
        """Nobody asks."""

    def end(self, *args: Any, **facts: Any) -> None:
        """Nobody asks."""


class Ungoverned(Application):
    """The application with the three governing parts exchanged when its gateway is made."""

    def build(self) -> Gateway:
        gateway = super().build()
        gateway.identities.__class__ = OpenToAll
        gateway.pipeline.limiter.__class__ = Unlimited
        gateway.recorder.__class__ = Silent
        return gateway


application = Ungoverned()
