"""Requests that are open keep what they needed so far: one of those who decide."""

from django.db import migrations


def give_each_its_step(apps, schema_editor):
    request_model = apps.get_model("models_registry", "AccessRequest")
    step_model = apps.get_model("models_registry", "RequestStep")
    open_requests = request_model.objects.filter(status="open", steps=None)
    step_model.objects.bulk_create(
        (
            step_model(request=request, by="deciders", turn_at=request.created_at)
            for request in open_requests.iterator(chunk_size=500)
        ),
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0010_approval_policies")]

    operations = [migrations.RunPython(give_each_its_step, migrations.RunPython.noop)]
