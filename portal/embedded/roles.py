"""The two database roles and the databases they share, on any PostgreSQL we may administer.

The owner holds the tables and only migrates; the application may not change a schema, and so can
neither drop a trigger nor truncate the audit trail.
"""

from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

OWNER = "latchkey_owner"
APPLICATION = "latchkey_app"


def ensure_role(admin: psycopg.Connection, name: str, *, password: str) -> None:
    """Make the role if it is missing, without any special right, and set its password.

    Only the SCRAM verifier is sent, so that the password cannot end up in a server's log.
    """
    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    statement = sql.SQL(
        "{verb} ROLE {name} WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
        " NOBYPASSRLS PASSWORD {verifier}"
    ).format(
        verb=sql.SQL("ALTER" if known else "CREATE"),
        name=sql.Identifier(name),
        verifier=sql.Literal(verifier.decode()),
    )
    admin.execute(statement)


def ensure_database(admin: psycopg.Connection, name: str, *, template: str = "template0") -> None:
    """Make the database if it is missing; only the owner and the application may connect.

    A template's tables and their grants are copied; the right to connect never is.
    """
    known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    database, owner = sql.Identifier(name), sql.Identifier(OWNER)
    if not known:
        statement = "CREATE DATABASE {} OWNER {} TEMPLATE {} ENCODING 'UTF8'"
        admin.execute(sql.SQL(statement).format(database, owner, sql.Identifier(template)))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    grant = "GRANT CONNECT ON DATABASE {} TO {}"
    admin.execute(sql.SQL(grant).format(database, sql.Identifier(APPLICATION)))


def role_url(*, user: str, password: str, database: str, host: str, port: str | None = None) -> str:
    """Build a postgresql:// URL; the host may be a folder, which then holds the server's socket."""
    parameters = {"host": host} | ({"port": port} if port else {})
    query = urlencode(parameters, safe="/")
    return f"postgresql://{user}:{quote(password, safe='')}@/{database}?{query}"
