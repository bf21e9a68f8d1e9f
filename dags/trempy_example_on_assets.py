"""A report that Airflow runs when two replicated tables have new rows, both as of the same moment."""

import pendulum
from airflow.sdk import DAG, task

from trempy_provider.assets import replicated_table

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
