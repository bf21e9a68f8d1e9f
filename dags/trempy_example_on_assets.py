"""Reports that Airflow runs when two replicated tables have new rows, or any table of a task."""

import pendulum
from airflow.sdk import DAG, task

from trempy_provider.assets import replicated_table, replicated_tables

ORDERS = replicated_table("shop", "shop.orders")
CUSTOMERS = replicated_table("shop", "shop.customers")

with DAG(
    dag_id="trempy_example_on_assets",
    schedule=[ORDERS, CUSTOMERS],
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    tags=["trempy", "example"],
    doc_md=__doc__,
):

    @task
    def what_is_new(triggering_asset_events=None) -> dict[str, list]:
        """Return what each event tells: row counts, end LSN and commit time."""
        news = {table.uri: triggering_asset_events[table] for table in (ORDERS, CUSTOMERS)}
        return {uri: [event.extra for event in events] for uri, events in news.items()}

    what_is_new()


with DAG(
    dag_id="trempy_example_on_any_table",
    schedule=replicated_tables("shop"),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    tags=["trempy", "example"],
    doc_md=__doc__,
):

    @task
    def changed_tables(triggering_asset_events=None) -> list[str]:
        """Return the assets that have changed."""
        found = [event for events in triggering_asset_events.values() for event in events]
        return sorted({event.extra["source_table"] for event in found})

    changed_tables()
