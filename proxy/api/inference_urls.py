"""The paths under /v1/ where Django serves them; portal.asgi answers them before it."""

from django.urls import path, re_path

from models_registry.api import converters  # noqa: F401 - registers what stands in the addresses.
from proxy.api import inference

app_name = "inference"
urlpatterns = [
    path("v1/models", inference.ModelList.as_view(), name="models"),
    path("v1/models/<model_name:name>", inference.Model.as_view(), name="model"),
    path("v1/chat/completions", inference.ChatCompletions.as_view(), name="chat"),
    path("v1/embeddings", inference.Embeddings.as_view(), name="embeddings"),
    re_path(r"^v1(?:/.*)?$", inference.Elsewhere.as_view(), name="elsewhere"),
]
