"""Tests in a running Airflow; as a package, so that it ends after the last of them."""
