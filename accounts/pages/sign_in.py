from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts.audit import acting, record_audit
from accounts.models.audit import AuditTag
from accounts.pages.throttle import refuse_too_many

TRIES_PER_ADDRESS = "10/m"
TRIES_PER_PEER = "30/m"


class SignIn(LoginView):
    """Signing in, throttled by the address tried and by the peer."""

    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        refusal = refuse_too_many(
            request,
            "sign-in",
            named=request.POST.get("username", ""),
            per_name=TRIES_PER_ADDRESS,
            per_peer=TRIES_PER_PEER,
        )
        return refusal or super().post(request, *args, **kwargs)

    @transaction.atomic
    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        person = form.get_user()
        record_audit(
            AuditTag.SIGNED_IN, actor=acting(person), subject_kind="person", subject_id=person.id
        )
        return super().form_valid(form)
