from pathlib import Path

import pytest

DAGS = sorted((Path(__file__).parents[3] / "dags").glob("*.py"))


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_airflow_does_not_overlook_the_file(path):
    text = path.read_text().lower()

    assert "airflow" in text
    assert "dag" in text
