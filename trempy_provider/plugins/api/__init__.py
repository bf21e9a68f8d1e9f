"""The server side of the page "Replication": a FastAPI app inside Airflow's API server."""
