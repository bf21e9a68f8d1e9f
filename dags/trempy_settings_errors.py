"""Show the broken settings of replication tasks as an import error of Airflow; makes no DAG.

It is a file of its own, because Airflow drops every DAG of a file that has an error.
"""

from trempy_provider.dag_factory import raise_settings_errors

raise_settings_errors()
