"""The ledger, for reading. Rows are written by the journal's shipper alone and never change.

The tables are made by 0001_ledger in SQL, because Django knows no partitions. No foreign keys: the ledger outlives teams,
keys and models, and holds their ids only.
"""

import datetime
import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class Call(models.Model):
    """One call that was admitted, or refused to a known caller. What became known later is an Adjustment.

    Partitioned by month on `id`, whose first 48 bits are the milliseconds of its admission: a span of time is
    `id >= first_id_at(start) AND id < first_id_at(end)`, which also keeps a query to the partitions it needs.

    id: a UUIDv7, made at admission.
    admitted_at: when it was let in, by the gateway's clock.
    team_id: whose budget it counts against.
    key_id: the key it came with.
    service_account_id: set where the key is an application's.
    person_id: set where the key is a person's.
    model_id: the model it was authorised for.
    deployment_id: the deployment that served it.
    provider_id: the provider of that deployment.
    kind: proxy.call.CallKind.
    stream: whether the answer was asked for as a stream.
    peer: the caller's address, after trusted proxies.
    request_id: the id in the X-Request-Id header of the answer.
    purpose: the key's purpose at the time.
    reserved_tokens: the worst case held while it ran.
    price_input_micro_usd_per_million: the price at admission.
    price_cached_micro_usd_per_million: the price at admission.
    price_output_micro_usd_per_million: the price at admission.
    status: proxy.call.CallStatus.
    http_status: what the caller was answered; 0 where nothing was.
    code: the error's code; empty where it was answered.
    input_tokens: prompt tokens, cached ones included.
    cached_tokens: prompt tokens the upstream had cached.
    output_tokens: answer tokens, reasoning included.
    reasoning_tokens: answer tokens that were reasoning.
    usage_estimated: counted here, or unknown: not the upstream's word.
    cost_micro_usd: 1e-6 USD at the prices above.
    duration_us: from admission to the last byte.
    upstream_us: of that, spent on the upstream.
    first_byte_us: from sending it upstream to the answer's first byte.
    attempts: connections tried to the upstream.
    answer_bytes: bytes of the answer sent to the caller.
    input_audio_tokens: prompt tokens that were sound.
    output_audio_tokens: answer tokens that were sound.
    price_reasoning_micro_usd_per_million: the price at admission; None was that of output.
    price_audio_input_micro_usd_per_million: the price at admission; None was that of input.
    price_audio_output_micro_usd_per_million: the price at admission; None was that of output.
    """

    id = models.UUIDField(primary_key=True)
    admitted_at = models.DateTimeField()
    team_id = models.UUIDField()
    key_id = models.UUIDField()
    service_account_id = models.UUIDField(null=True)
    person_id = models.UUIDField(null=True)
    model_id = models.UUIDField(null=True)
    deployment_id = models.UUIDField(null=True)
    provider_id = models.UUIDField(null=True)
    kind = models.TextField()
    stream = models.BooleanField()
    peer = models.TextField()
    request_id = models.TextField()
    purpose = models.TextField()
    reserved_tokens = models.BigIntegerField()
    price_input_micro_usd_per_million = models.BigIntegerField()
    price_cached_micro_usd_per_million = models.BigIntegerField()
    price_output_micro_usd_per_million = models.BigIntegerField()
    status = models.TextField()
    http_status = models.BigIntegerField()
    code = models.TextField()
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    usage_estimated = models.BooleanField()
    cost_micro_usd = models.BigIntegerField()
    duration_us = models.BigIntegerField()
    upstream_us = models.BigIntegerField()
    first_byte_us = models.BigIntegerField()
    attempts = models.BigIntegerField()
    answer_bytes = models.BigIntegerField()
    input_audio_tokens = models.BigIntegerField(db_default=0)
    output_audio_tokens = models.BigIntegerField(db_default=0)
    price_reasoning_micro_usd_per_million = models.BigIntegerField(null=True)
    price_audio_input_micro_usd_per_million = models.BigIntegerField(null=True)
    price_audio_output_micro_usd_per_million = models.BigIntegerField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=["team_id", "id"], name="proxy_call_team"),
            models.Index(fields=["key_id", "id"], name="proxy_call_key"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.status}"


class Adjustment(models.Model):
    """What became known of a call after its row was written. Figures are differences, to be added to the row's.

    call_id: the call it corrects.
    kind: proxy.call.AdjustmentKind; at most one of each for a call.
    at: when it was booked, by the database's clock.
    status: the status the call has now.
    http_status: the status code the caller had.
    code: the error's code the call has now.
    usage_estimated: whether the corrected figures are estimates.
    input_tokens: difference.
    cached_tokens: difference.
    output_tokens: difference.
    reasoning_tokens: difference.
    cost_micro_usd: difference, 1e-6 USD.
    duration_us: difference.
    answer_bytes: difference.
    input_audio_tokens: difference.
    output_audio_tokens: difference.
    """

    id = models.BigAutoField(primary_key=True)
    call_id = models.UUIDField()
    kind = models.TextField()
    at = models.DateTimeField()
    status = models.TextField()
    http_status = models.BigIntegerField()
    code = models.TextField()
    usage_estimated = models.BooleanField()
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    cost_micro_usd = models.BigIntegerField()
    duration_us = models.BigIntegerField()
    answer_bytes = models.BigIntegerField()
    input_audio_tokens = models.BigIntegerField(db_default=0)
    output_audio_tokens = models.BigIntegerField(db_default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["call_id", "kind"], name="proxy_adjustment_once"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.call_id}"


class UnattributedUse(models.Model):
    """What lapsed leases took of a limit and no call explains: proxy/usage/unattributed.py. Amounts are added up.

    at: when it was booked.
    limit_id: the limit that it stays counted against.
    team_id: the team that the limit belongs to; None for a person's own and a model's.
    count: the name of the limit's count in the store, with its period.
    measure: models_registry.models.LimitMeasure.
    amount: in the measure's unit; below 0 where something was explained later.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    limit_id = models.UUIDField()
    team_id = models.UUIDField(null=True)
    count = models.TextField()
    measure = models.TextField()
    amount = models.BigIntegerField()

    class Meta:
        indexes = (
            models.Index(fields=["count"], name="unattributed_by_count"),
            models.Index(fields=["team_id", "at"], name="unattributed_by_team"),
        )

    def __str__(self) -> str:
        return f"{self.amount} {self.measure} of limit {self.limit_id}"


class Usage(models.Model):
    """What one key used of one model in a span of time, by how the calls came out: what pages read instead of the ledger.

    status: proxy.call.CallStatus, corrections included.
    calls: number of calls; the other figures are sums over them.
    """

    id = models.BigAutoField(primary_key=True)
    team_id = models.UUIDField()
    key_id = models.UUIDField()
    service_account_id = models.UUIDField(null=True)
    person_id = models.UUIDField(null=True)
    model_id = models.UUIDField(null=True)
    status = models.TextField()
    calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    cost_micro_usd = models.BigIntegerField()
    duration_us = models.BigIntegerField()

    class Meta:
        abstract = True


class UsageHour(Usage):
    """Usage of one hour, made anew from the ledger whenever a row of the hour came or was corrected: proxy/usage/rollup.py.

    hour: its beginning.
    """

    hour = models.DateTimeField()

    class Meta:
        verbose_name = _("usage of an hour")
        verbose_name_plural = _("usage by hour")
        constraints = (
            models.UniqueConstraint(
                fields=["hour", "key_id", "team_id", "model_id", "status"],
                nulls_distinct=False,
                name="usage_hour_once",
            ),
        )
        indexes = (
            models.Index(fields=["team_id", "hour"], name="usage_by_team"),
            models.Index(fields=["person_id", "hour"], name="usage_by_person"),
        )

    def __str__(self) -> str:
        return f"{self.calls} calls in the hour of {self.hour:%Y-%m-%d %H:%M}"


class UsageDay(Usage):
    """Usage of one day in UTC: the sum of its hours, made with them. A page over months reads a row where it would 24."""

    day = models.DateField()

    class Meta:
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")
        constraints = (
            models.UniqueConstraint(
                fields=["day", "key_id", "team_id", "model_id", "status"],
                nulls_distinct=False,
                name="usage_day_once",
            ),
        )
        indexes = (
            models.Index(fields=["team_id", "day"], name="usage_day_by_team"),
            models.Index(fields=["person_id", "day"], name="usage_day_by_person"),
        )

    def __str__(self) -> str:
        return f"{self.calls} calls on {self.day}"


class StaleHour(models.Model):
    """An hour that rows came for since its usage was last counted; written with those rows, in their transaction."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M}"


class DroppedMonth(models.Model):
    """A month whose calls were dropped for their age. Its usage by hour stands, and is not counted again.

    Written by latchkey_drop_partitions (0003_drop_old_partitions) alone.

    month: its beginning.
    """

    month = models.DateTimeField(primary_key=True)
    dropped_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


def first_id_at(unix_ms: int) -> uuid.UUID:
    """Return the bound below every id made at or after this millisecond."""
    return uuid.UUID(int=unix_ms << 80)


def first_id_since(moment: datetime.datetime) -> uuid.UUID:
    """Return the bound below every id made at or after this moment."""
    return first_id_at(int(moment.timestamp() * 1000))
