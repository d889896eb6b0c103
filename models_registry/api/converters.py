"""What stands in an address of the API."""

from django.urls import register_converter


class ModelName:
    """A model's name, slashes included."""

    regex = "[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ModelName, "model_name")
