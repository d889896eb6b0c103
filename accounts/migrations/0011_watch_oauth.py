"""Gateways hear of clients that change, of signing keys, and of every token that ends early, whoever ends it."""

from django.db import migrations

WATCH = """
CREATE FUNCTION latchkey_note_ended_tokens() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO accounts_endedtoken (id, expires_at)
        SELECT jti, expires FROM old_rows WHERE expires > now() ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO accounts_endedtoken (id, expires_at)
        SELECT jti, expires FROM old_rows WHERE expires > now() AND jti NOT IN (SELECT jti FROM new_rows)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$body$;
CREATE TRIGGER latchkey_note_ended_tokens_delete AFTER DELETE ON accounts_oauthaccesstoken
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_ended_tokens();
CREATE TRIGGER latchkey_note_ended_tokens_update AFTER UPDATE ON accounts_oauthaccesstoken
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_ended_tokens();

-- Only what is added is heard of: forgetting what has expired anyway changes nothing.
CREATE TRIGGER latchkey_note_token_id_insert AFTER INSERT ON accounts_endedtoken
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_changes('token', 'id');

SELECT latchkey_watch('accounts_oauthapplication', 'client', 'credential_id');
SELECT latchkey_watch('accounts_signingkey', 'signing', 'id');
"""

FORGET = """
DROP FUNCTION latchkey_note_ended_tokens() CASCADE;
DROP TRIGGER latchkey_note_token_id_insert ON accounts_endedtoken;
DO $$ DECLARE event text; BEGIN
    FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
        EXECUTE format('DROP TRIGGER %I ON accounts_oauthapplication', 'latchkey_note_client_credential_id_' || event);
        EXECUTE format('DROP TRIGGER %I ON accounts_signingkey', 'latchkey_note_signing_id_' || event);
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_oauth_clients_of_teams")]

    operations = [migrations.RunSQL(WATCH, FORGET)]
