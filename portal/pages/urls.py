"""The pages that join the apps."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from portal.pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(http_method_names=["post"]), name="sign-out"),
]
