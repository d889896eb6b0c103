"""Whoever decided on requests by Django's own permission has the role of an approver from here on.

A role of a team reaches the gateways like a change of the team itself.
"""

from django.conf import settings
from django.db import migrations

WATCH = "SELECT latchkey_watch('accounts_customrole', 'team', 'team_id');"


def give_rows(apps, schema_editor):
    """Nothing but superusers was staff beside them."""
    person, assignment = (
        apps.get_model("accounts", "User"),
        apps.get_model("accounts", "PortalAssignment"),
    )
    approvers = person.objects.filter(is_staff=True, is_superuser=False)
    for found in approvers.filter(user_permissions__codename="decide_accessrequest"):
        assignment.objects.create(person=found, role="approver")
        found.user_permissions.clear()


def give_permissions(apps, schema_editor):
    """Back to Django's own."""
    permission = apps.get_model("auth", "Permission")
    decide = permission.objects.filter(codename="decide_accessrequest")
    for found in apps.get_model("accounts", "PortalAssignment").objects.filter(role="approver"):
        found.person.user_permissions.set(decide)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_custom_roles_and_proposals"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunSQL(WATCH, migrations.RunSQL.noop),
        migrations.RunPython(give_rows, give_permissions),
    ]
