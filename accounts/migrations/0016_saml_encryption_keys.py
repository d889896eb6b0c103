"""What a SAML provider encrypts assertions for us with, and the sealed key that opens them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0015_sign_on_maps_custom_roles"),
    ]

    operations = [
        migrations.AddField(
            model_name="signonconnection",
            name="encryption_certificate",
            field=models.TextField(blank=True, editable=False, max_length=10000),
        ),
        migrations.AddField(
            model_name="signonconnection",
            name="sealed_encryption_key",
            field=models.BinaryField(null=True),
        ),
        migrations.AddConstraint(
            model_name="signonconnection",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("encryption_certificate", ""), ("sealed_encryption_key__isnull", True)
                    ),
                    models.Q(
                        models.Q(("encryption_certificate", ""), _negated=True),
                        ("sealed_encryption_key__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="sign_on_encryption_key_with_certificate",
            ),
        ),
    ]
