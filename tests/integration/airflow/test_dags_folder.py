from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.encoders import encode_trigger

FOLDER = Path(__file__).parents[3] / "dags"
DAGS = sorted(FOLDER.glob("*.py"))
EXAMPLES = [path for path in DAGS if "example" in path.stem]


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_airflow_does_not_overlook_the_file(path):
    text = path.read_text().lower()

    assert "airflow" in text
    assert "dag" in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_airflow_imports_the_example(path):
    bag = DagBag(path, load_op_links=False)

    assert bag.import_errors == {}
    assert bag.dags


@pytest.mark.parametrize(
    ("name", "classpath"),
    [
        ("trempy_example_slot_changes", "trempy_provider.triggers.slot_changes.SlotChangesTrigger"),
        ("trempy_example_queue_messages", "trempy_provider.triggers.rabbitmq.RabbitMQQueueTrigger"),
    ],
)
def test_example_is_started_by_a_watcher(name, classpath):
    dag = DagBag(FOLDER / f"{name}.py", load_op_links=False).dags[name]

    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers

    assert encode_trigger(watcher.trigger)["classpath"] == classpath
