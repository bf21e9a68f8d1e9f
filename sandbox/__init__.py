"""Local servers for demo, tests and benchmarks: PostgreSQL, RabbitMQ and Airflow on free ports."""
