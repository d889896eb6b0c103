"""What can be called: providers, models, and the deployments that join them."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models

from accounts.models import Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from portal.lib.origin import Origin

MODEL_NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}\Z",
    "A model's name is 1 to 120 ASCII letters, digits and . _ : / - and starts with a letter or digit.",
)


def validate_base_url(text: str) -> None:
    """Refuse what the gateway could not read. The URL is not repeated: it may hold a password."""
    try:
        Origin.from_url(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class Provider(models.Model):
    """A server that answers calls. Its credential is sealed, bound to this row, and never shown again.

    networks: from where callers may reach its models; none means from anywhere.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    base_url = models.CharField(max_length=500, validators=[validate_base_url])
    sealed_credential = models.BinaryField(null=True, editable=False)
    is_demonstration = models.BooleanField(default=False)
    networks = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=100)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    def __str__(self) -> str:
        return self.name


class ModelStatus(models.TextChoices):
    """A model's life. Only published and deprecated models can be called."""

    DRAFT = "draft"
    PUBLISHED = "published"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class ModelKind(models.TextChoices):
    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class DataClass(models.TextChoices):
    """The most sensitive data a model may be sent, from least to most."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    SECRET = "secret"  # noqa: S105 - a class of data.


class Visibility(models.TextChoices):
    """Who sees the model in the catalogue: everyone who signs in, or only teams that were granted it."""

    EVERYONE = "everyone"
    GRANTED = "granted"


class HangUp(models.TextChoices):
    """What a caller's hang-up does to a stream: close the upstream and bill what was sent, or drain it and bill exactly."""

    CLOSE = "close"
    DRAIN = "drain"


class OutputCapMember(models.TextChoices):
    """The member by which the upstream takes the largest output; servers ignore the other one, or refuse it."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"


class AiModel(models.Model):
    """A model under the name that callers use. Prices are micro-USD (1e-6 USD) per million tokens.

    price_reasoning, price_audio_output: None is the price of output. price_audio_input: None is the price of input.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120, unique=True, validators=[MODEL_NAME])
    kind = models.CharField(max_length=12, choices=ModelKind.choices)
    description = models.TextField(blank=True, max_length=5000)
    owner = models.ForeignKey(
        Team, models.SET_NULL, null=True, blank=True, related_name="owned_models"
    )
    data_class = models.CharField(
        max_length=12, choices=DataClass.choices, default=DataClass.INTERNAL
    )
    visibility = models.CharField(
        max_length=10, choices=Visibility.choices, default=Visibility.EVERYONE
    )
    status = models.CharField(max_length=10, choices=ModelStatus.choices, default=ModelStatus.DRAFT)
    deprecated_at = models.DateTimeField(null=True, blank=True)
    sunset_at = models.DateTimeField(null=True, blank=True)

    context_tokens = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    max_output_tokens = models.PositiveIntegerField(default=0)
    tokens_per_byte = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.05)],
        help_text="The most tokens a byte of the body can become; 1 is safe for every tokenizer.",
    )
    price_input = models.PositiveBigIntegerField(default=0)
    price_cached_input = models.PositiveBigIntegerField(default=0)
    price_output = models.PositiveBigIntegerField(default=0)
    price_reasoning = models.PositiveBigIntegerField(null=True, blank=True)
    price_audio_input = models.PositiveBigIntegerField(null=True, blank=True)
    price_audio_output = models.PositiveBigIntegerField(null=True, blank=True)
    extra_members = ArrayField(models.CharField(max_length=60), default=list, blank=True, size=50)
    output_cap_member = models.CharField(
        max_length=21, choices=OutputCapMember.choices, default=OutputCapMember.MAX_TOKENS
    )
    hang_up = models.CharField(max_length=5, choices=HangUp.choices, default=HangUp.CLOSE)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        verbose_name = "model"

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """Where a model is served: at a provider, under the provider's own name for it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    model = models.ForeignKey(AiModel, models.CASCADE, related_name="deployments")
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="deployments")
    upstream_name = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_name"], name="deployment_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_name} at {self.provider_id}"
