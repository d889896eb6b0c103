"""The pages that join the apps."""

from django.urls import path

from portal.pages.home import home

urlpatterns = [
    path("", home, name="home"),
]
