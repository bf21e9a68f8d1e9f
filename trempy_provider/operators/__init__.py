"""Airflow operators, one per job."""
