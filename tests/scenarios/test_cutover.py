"""Cutover says "safe to switch" only when the target may take over, and otherwise every reason why not."""

from __future__ import annotations

from tests.support.databases import connect
from trempy_provider.jobs import cutover as cutover_module
from trempy_provider.jobs.cutover import CutoverReport, cutover


def run(replication, **options) -> CutoverReport:
    return cutover(replication.task, source=replication.source, target=replication.target, **options)


def test_it_is_safe_to_switch_only_without_lag_differences_waiting_tables_and_writers(
    databases, replicate, monkeypatch
):
    databases.source_admin.execute(
        "create table public.t (id serial primary key, v text); insert into public.t (v) select 'v'"
        " from generate_series(1, 1000)"
    )
    replication = replicate("public.t")
    replication.setup()
    assert run(replication).reasons == ("tables wait for a load: public.t",)
    replication.load()
    databases.source_admin.execute("insert into public.t (v) values ('w')")
    (lag,) = run(replication, patience_seconds=1).reasons
    assert lag.startswith("apply has not come to")
    replication.catch_up()

    safe = run(replication)

    assert safe.error is None
    assert safe.as_dict()["verdict"] == "safe to switch"
    assert (safe.as_dict()["set_sequence_count"], safe.as_dict()["compared_row_count"]) == (1, 1001)
    assert databases.target_admin.fetch_value("select nextval('public.t_id_seq')") == 1002

    databases.target_admin.execute("update public.t set v = 'damaged' where id = 7")
    assert "not equal on both sides: public.t (different)" in str(run(replication).error)
    databases.target_admin.execute("update public.t set v = 'v' where id = 7")
    with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
        cursor.execute("begin; insert into public.t (v) values ('open')")
        (open_transaction,) = run(replication).reasons
        cursor.execute("rollback")
    assert open_transaction.startswith("1 transaction(s) that have written")

    original = cutover_module.validate

    def validate_while_somebody_writes(*arguments, **options):
        report = original(*arguments, **options)
        databases.source_admin.execute("insert into public.t (v) values ('late')")
        replication.catch_up()
        return report

    monkeypatch.setattr(cutover_module, "validate", validate_while_somebody_writes)
    assert run(replication).reasons == (
        "the source is still written to: 1 transaction(s) since the comparison began",
    )
