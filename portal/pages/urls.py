"""The pages that join the apps."""

from django.urls import path

from portal.pages import bounds, key_rotation, keys
from portal.pages.explain import explain_page
from portal.pages.home import home

urlpatterns = [
    path("", home, name="home"),
    path("explain/", explain_page, name="explain"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.new_key, name="key-new"),
    path("keys/<uuid:key_id>/", keys.key_page, name="key"),
    path("keys/<uuid:key_id>/bounds/", bounds.key_bounds, name="key-bounds"),
    path(
        "teams/<slug:slug>/service-accounts/<uuid:account_id>/bounds/",
        bounds.service_account_bounds,
        name="service-account-bounds",
    ),
    path("keys/<uuid:key_id>/rotate/", key_rotation.rotate, name="key-rotate"),
    path(
        "keys/<uuid:key_id>/old-secret/end/",
        key_rotation.old_secret_end,
        name="key-old-secret-end",
    ),
    path("keys/<uuid:key_id>/rotation/", key_rotation.rotation_set, name="key-rotation-set"),
    path("keys/<uuid:key_id>/enable/", keys.enable, name="key-enable"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke, name="key-revoke"),
]
