"""A full load by hand, mapped over three tables: a DAG of Airflow with a square for each table."""

import pendulum
from airflow.sdk import DAG

from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.setup import TrempySetupOperator

SETTINGS = {
    "task": {
        "task_name": "example_full_load",
        "replication_type": "full_load",
        "create_table_if_not_exists": True,
    },
    "tables": [
        {"schema_name": "shop", "table_name": "customers", "priority": 0},
        {"schema_name": "shop", "table_name": "products", "priority": 0},
        {"schema_name": "shop", "table_name": "orders", "priority": 1},
    ],
}
TABLES = [[f"{table['schema_name']}.{table['table_name']}"] for table in SETTINGS["tables"]]

with DAG(
    dag_id="trempy_example_full_load_by_hand",
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    tags=["trempy", "example"],
    doc_md=__doc__,
):
    setup = TrempySetupOperator(task_id="setup", settings=SETTINGS)
    load = TrempyFullLoadOperator.partial(
        task_id="load",
        settings=SETTINGS,
        reload=True,
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.tables | join(', ') }}",
    ).expand(tables=TABLES)

    setup >> load
