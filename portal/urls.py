"""Every route. The inference paths are answered in portal.asgi before Django sees them."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from portal import health
from portal.pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(http_method_names=["post"]), name="sign-out"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]
