"""Thousands of rows in one statement, where a test asks how a page bears them, and how quick it is then."""

import time
from collections.abc import Callable

from django.db import connection
from django.db.models import Model
from psycopg import sql

TRIES = 20


def multiply(row: Model, count: int, **own: str) -> None:
    """Insert so many copies of a stored row.

    own: SQL by column for what each copy has for itself; `number` counts the copies from 1. Ids are made anew.
    """
    own_values = {"id": "gen_random_uuid()"} | own
    columns = [str(field.column) for field in row._meta.concrete_fields]
    names = sql.SQL(", ").join([sql.Identifier(column) for column in columns])
    values = sql.SQL(", ").join(
        [
            sql.SQL(own_values.get(column, "pattern.{}")).format(sql.Identifier(column))
            for column in columns
        ]
    )
    statement = sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {values}"
        " FROM {table} AS pattern, generate_series(1, {count}) AS number WHERE pattern.id = {id}"
    ).format(
        table=sql.Identifier(row._meta.db_table),
        names=names,
        values=values,
        count=sql.Literal(count),
        id=sql.Literal(row.pk),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def quickest_s(act: Callable[[], object], *, under_s: float) -> float:
    """Return the shortest time of some tries, of which one under the limit is the last.

    A neighbour's load slows some of them, what is slow by itself slows all.
    """
    shortest_s, tries = float("inf"), 0
    while shortest_s >= under_s and tries < TRIES:
        began = time.perf_counter()
        act()
        shortest_s, tries = min(shortest_s, time.perf_counter() - began), tries + 1
    return shortest_s
