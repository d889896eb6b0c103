from models_registry.models.catalogue import (
    AiModel,
    DataClass,
    Deployment,
    HangUp,
    ModelKind,
    ModelStatus,
    OutputCapMember,
    Provider,
    Visibility,
)
from models_registry.models.grants import Grant, KeyModel
from models_registry.models.limits import Limit, LimitMeasure, LimitPeriod, SubjectKind
from models_registry.models.requests import (
    AccessRequest,
    RequestComment,
    RequestedModel,
    RequestStatus,
)

__all__ = [
    "AccessRequest",
    "AiModel",
    "DataClass",
    "Deployment",
    "Grant",
    "HangUp",
    "KeyModel",
    "Limit",
    "LimitMeasure",
    "LimitPeriod",
    "ModelKind",
    "ModelStatus",
    "OutputCapMember",
    "Provider",
    "RequestComment",
    "RequestStatus",
    "RequestedModel",
    "SubjectKind",
    "Visibility",
]
