"""Full load, then changes: no gap and no duplicate (G5)."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.pg("15-15", "15-18", "18-16")


def test_changes_after_the_load_are_applied(databases, replicate):
    databases.source_admin.execute("create table public.t (id int primary key, v text)")
    databases.source_admin.execute("insert into public.t select g, 'v' || g from generate_series(1, 100) g")
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "insert into public.t values (101, 'new'); update public.t set v = 'changed' where id <= 20;"
        "delete from public.t where id between 30 and 40"
    )
    replication.catch_up()

    replication.assert_equal()
