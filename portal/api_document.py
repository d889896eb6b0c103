"""The OpenAPI document, and the page that lets people of the portal read and try it."""

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.renderers import OpenApiJsonRenderer2
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


@method_decorator(csp_update({"img-src": ["data:"]}), name="dispatch")
class Documentation(SpectacularSwaggerSplitView):
    """The page. Its icons are drawn from data URLs in its own stylesheet; nothing else is allowed beyond other pages."""

    authentication_classes = [BrowserSession]
    permission_classes = [MayAsk]
    renderer_classes = [TemplateHTMLRenderer]
    url_name = "api-schema"
    template_name = "api_docs.html"
    template_name_js = "api_docs.js"
