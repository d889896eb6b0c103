"""A group at a provider can bring people into a role of the team's own."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0014_approvers_as_rows"),
    ]

    operations = [
        migrations.AddField(
            model_name="signonmapping",
            name="custom_role",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="sign_on_mappings",
                to="accounts.customrole",
            ),
        ),
        migrations.AlterField(
            model_name="signonmapping",
            name="role",
            field=models.CharField(
                blank=True,
                choices=[
                    ("owner", "Owner"),
                    ("manager", "Manager"),
                    ("member", "Member"),
                    ("auditor", "Auditor"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="signonmapping",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("custom_role__isnull", True),
                        ("role__in", ["owner", "manager", "member", "auditor"]),
                    ),
                    models.Q(("custom_role__isnull", False), ("role", "")),
                    _connector="OR",
                ),
                name="sign_on_mapping_of_one_role",
            ),
        ),
    ]
