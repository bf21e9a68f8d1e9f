"""The DAGs of all replication tasks; copy this file into your DAGs folder.

Each task kept in an Airflow Variable `trempy_task_<task_name>`, or in `trempy_tasks`, gets its DAGs.
Copy trempy_settings_errors.py too: it shows what is wrong with a task that gets none.
"""

from trempy_provider.dag_factory import build_dags

build_dags(globals())
