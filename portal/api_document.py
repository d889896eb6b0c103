"""The OpenAPI document, and the page that lets people of the portal read and try it."""

from functools import cache

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import TemplateHTMLRenderer

from accounts.api import document as _  # noqa: F401 - tells the library of our authentication.
from accounts.api.authentication import BrowserSession, CredentialAuthentication
from accounts.api.permissions import MayAsk
from accounts.api.throttling import CallerThrottle


class Document(SpectacularJSONAPIView):
    """The whole document, also for a key: clients are generated from it."""

    refuses_strangers_itself = True
    authentication_classes = [CredentialAuthentication, BrowserSession]
    permission_classes = [MayAsk]
    throttle_classes = [CallerThrottle]
    renderer_classes = [OpenApiJsonRenderer2]

    @extend_schema(exclude=True)
    def get(self, request: HttpRequest) -> HttpResponse:
        """Send it as a file that a browser shows."""
        return HttpResponse(
            written_document(),
            content_type=OpenApiJsonRenderer2.media_type,
            headers={"Content-Disposition": 'inline; filename="Latchkey.json"'},
        )


@cache
def written_document() -> bytes:
    """The document as JSON, made once: it takes a third of a second, and says the same to everybody."""
    # The library is without types here.
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    written: bytes = OpenApiJsonRenderer2().render(document)
    return written


@method_decorator(csp_update({"img-src": ["data:"]}), name="dispatch")
class Documentation(SpectacularSwaggerSplitView):
    """The page. Its icons are drawn from data URLs in its own stylesheet; nothing else is allowed beyond other pages."""

    authentication_classes = [BrowserSession]
    permission_classes = [MayAsk]
    renderer_classes = [TemplateHTMLRenderer]
    url_name = "api-schema"
    template_name = "api_docs.html"
    template_name_js = "api_docs.js"
