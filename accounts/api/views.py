"""The base of every view of the management API: closed, JSON only, bounded, and held to what its operation declares."""

from typing import Any, ClassVar, cast

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import BrowserSession, CredentialAuthentication
from accounts.api.bodies import JsonObject, OnlyJson, refuse_large_or_compressed
from accounts.api.fields import NOT_ACCEPTED, Given, Taken
from accounts.api.idempotency import answer_once, idempotency_key
from accounts.api.operations import Contract
from accounts.api.pages import take_page
from accounts.api.permissions import MayAdminister, MayManage
from accounts.api.problems import Problem, ProblemCode, invalid
from accounts.api.throttling import CallerThrottle
from accounts.audit import Actor, acting
from accounts.models import User
from accounts.roles import PortalRight

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class ManagementView(APIView):
    """A view for somebody who signed in, or who came with a person's credential that may manage.

    Its handlers are declared by `operation`, read `self.taken` and `self.asked`, and fetch through the apps' doors.
    """

    # Strangers get a problem, not the page to sign in; portal.sign_in_required asks.
    refuses_strangers_itself = True
    authentication_classes = [CredentialAuthentication, BrowserSession]
    permission_classes = [MayManage]
    throttle_classes = [CallerThrottle]
    parser_classes = [JsonObject]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OnlyJson
    # HEAD is answered like GET; whoever sends the answer leaves its body out.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    taken: dict[str, Any]
    asked: dict[str, Any]

    @property
    def person(self) -> User:
        """Who asks."""
        return cast(User, self.request.user)

    @property
    def actor(self) -> Actor:
        return acting(self.person)

    def page(self, rows: QuerySet[Any], kind: type[Given], *, by: str, of: str) -> Response:
        """Answer the page of a list that was asked for."""
        found, after = take_page(rows, by=by, of=of, asked=self.asked)
        return Response({"data": kind(found, many=True).data, "next": after})

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """DRF's own, with the request held to its operation, and carried out once under an Idempotency-Key."""
        self.args, self.kwargs = args, kwargs
        asking = self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            self.initial(asking, *args, **kwargs)
            key = idempotency_key(asking) if asking.method in _UNSAFE else None
            if key is None:
                reply: HttpResponseBase = self._carry_out(asking)
            else:
                reply = answer_once(asking, key, lambda: self._carry_out_or_refuse(asking))
        except Exception as error:  # noqa: BLE001 - the handler makes a problem of whatever it was.
            reply = self.handle_exception(error)
        self.response = self.finalize_response(asking, cast(Response, reply), *args, **kwargs)
        self.response["Cache-Control"] = "no-store"
        return self.response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        refuse_large_or_compressed(request)
        super().initial(request, *args, **kwargs)

    def _carry_out(self, request: Request) -> Response:
        method = str(request.method).lower()
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None:
            raise Problem(ProblemCode.METHOD_NOT_ALLOWED)
        contract: Contract = handler.contract
        self.asked = _read_query(request, contract.query)
        self.taken = {} if contract.takes is None else _checked(contract.takes, request.data)
        if contract.takes is None and method in ("post", "put", "patch") and request.data:
            raise invalid({name[:60]: [NOT_ACCEPTED] for name in request.data})
        reply: Response = handler(request, *self.args, **self.kwargs)
        return reply

    def _carry_out_or_refuse(self, request: Request) -> Response:
        try:
            with transaction.atomic():
                reply = self._carry_out(request)
        except Exception as error:  # noqa: BLE001 - as in dispatch; what was written is undone first.
            reply = self.handle_exception(error)
        return self.finalize_response(request, reply)


class AdministratorView(ManagementView):
    """A view for whoever may in the whole portal: who signed in, or who came with a key that may administer.

    sees, right: what somebody has to hold to read here, and to change something; None leaves it to superusers.
    """

    permission_classes = [MayAdminister]
    sees: ClassVar[PortalRight | None] = None
    right: ClassVar[PortalRight | None] = None


class Nothing(ManagementView):
    """Every address below /api/v1/ that is none: a problem, like every refusal here."""

    schema = None

    def _carry_out(self, request: Request) -> Response:
        raise Problem(ProblemCode.NOT_FOUND)


def _read_query(request: Request, kind: type[Taken]) -> dict[str, Any]:
    """Read a query in which nothing stands twice and nothing is unknown. Raises: Problem, ValidationError."""
    twice = [name for name, values in request.query_params.lists() if len(values) > 1]
    if twice:
        raise invalid({name[:60]: ["This stands twice."] for name in twice})
    return _checked(kind, request.query_params.dict())


def _checked(kind: type[Taken], data: Any) -> dict[str, Any]:
    form = kind(data=data)
    form.is_valid(raise_exception=True)
    checked: dict[str, Any] = form.validated_data
    return checked


def done() -> Response:
    """Answer that it is done, and nothing else."""
    return Response(status=204)
