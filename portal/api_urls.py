"""The management API, assembled from the apps; everything below /api/v1/ answers problems, also where nothing is."""

from django.urls import include, path, re_path

from accounts.api.views import Nothing

app_name = "api"
urlpatterns = [
    path("", include("accounts.api.urls")),
    path("", include("models_registry.api.urls")),
    path("", include("proxy.api.urls")),
    re_path(r"", Nothing.as_view(), name="nothing"),
]
