"""TREMpy for Airflow: PostgreSQL to PostgreSQL replication."""

from __future__ import annotations

__version__ = "1.0.0"
