"""Message queues that `apache-airflow-providers-common-messaging` finds here."""
