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
from models_registry.models.delegations import ApprovalDelegation
from models_registry.models.grants import Grant, KeyModel
from models_registry.models.limits import Limit, LimitMeasure, LimitPeriod, SubjectKind
from models_registry.models.policies import (
    ApprovalPolicy,
    PolicyStep,
    PolicyVersion,
    StepBy,
    WhenLate,
)
from models_registry.models.request_steps import RequestStep, StepApproval
from models_registry.models.requests import (
    AccessRequest,
    RequestComment,
    RequestedModel,
    RequestStatus,
)

__all__ = [
    "AccessRequest",
    "AiModel",
    "ApprovalDelegation",
    "ApprovalPolicy",
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
    "PolicyStep",
    "PolicyVersion",
    "Provider",
    "RequestComment",
    "RequestStatus",
    "RequestStep",
    "RequestedModel",
    "StepApproval",
    "StepBy",
    "SubjectKind",
    "Visibility",
    "WhenLate",
]
