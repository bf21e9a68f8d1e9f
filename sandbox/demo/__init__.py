"""The demo: a live shop database is copied and then followed, through real Airflow and real RabbitMQ."""
