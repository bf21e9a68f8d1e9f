"""A report that is made anew when a table has changed: a DAG of Airflow that a replication slot starts.

It needs no replication task, only a slot and a publication in the source's database, once:

    create publication report_orders for table shop.orders;
    select pg_create_logical_replication_slot('report_orders', 'pgoutput');

The slot is this DAG's alone: when the report is there, it lets go of what the report has seen.
"""

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, BaseHook, task

from trempy_provider.triggers.slot_changes import SlotChangesTrigger

SLOT = "report_orders"
changes = SlotChangesTrigger(
    slot_name=SLOT, publication_name="report_orders", postgres_conn_id="trempy_source", interval_seconds=5
)
orders = Asset("shop_orders_changed", watchers=[AssetWatcher(name="orders_slot", trigger=changes)])

with DAG(
    dag_id="trempy_example_slot_changes",
    schedule=[orders],
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": 5},  # the trigger may be looking at the slot
    tags=["trempy", "example"],
    doc_md=__doc__,
):

    @task
    def count_orders(triggering_asset_events=None) -> int:
        seen_lsn = triggering_asset_events[orders][-1].extra["payload"]["lsn"]
        hook = BaseHook.get_hook("trempy_source")
        order_count = hook.get_first("select count(*) from shop.orders")[0]
        hook.run("select pg_replication_slot_advance(%s, %s)", parameters=(SLOT, seen_lsn))
        return int(order_count)

    count_orders()
