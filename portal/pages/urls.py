"""The pages that join the apps."""

from django.urls import path

from portal.pages import keys
from portal.pages.home import home

urlpatterns = [
    path("", home, name="home"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.new_key, name="key-new"),
    path("keys/<uuid:key_id>/", keys.key_page, name="key"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke, name="key-revoke"),
]
