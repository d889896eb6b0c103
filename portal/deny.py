"""What a view without a rule of its own answers: no."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class DenyAll(BasePermission):
    """The default permission of every API view, so that a forgotten one is closed and not open."""

    def has_permission(self, request: Request, view: object) -> bool:
        return False
