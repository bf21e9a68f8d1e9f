"""DAGs that changes and messages start, in a real Airflow: none is lost when the triggerer dies."""

import json
import signal

import pytest
from pika import BasicProperties, BlockingConnection, URLParameters

from sandbox.airflow_api import AirflowApiError
from sandbox.processes import send_signal
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
SLOT_DAG, SLOT = "trempy_example_slot_changes", "report_orders"
QUEUE_DAG, QUEUE = "trempy_example_queue_messages", "invoices_to_print"


def replace_triggerer(shop):
    """Kill the triggerer, and start another."""
    for pid in shop.airflow.component_pids("triggerer"):
        send_signal(pid, signal.SIGKILL)
    shop.airflow.start_component("triggerer")


def results(shop, dag_id, task_id):
    """Return what the task has returned in each successful run, the oldest run first."""
    runs = [run for run in reversed(shop.api.dag_runs(dag_id)) if run["state"] == "success"]
    return [shop.api.xcom(dag_id, run["dag_run_id"], task_id) for run in runs]


def counted(shop):
    return results(shop, SLOT_DAG, "count_orders")


def printed(shop):
    return {body for bodies in results(shop, QUEUE_DAG, "print_invoices") for body in bodies}


def told(shop):
    """Return the bodies of the messages of which Airflow has stored events.

    Airflow 3.3 answers with 500 while a run that an event has started is queued: such a run has no start yet.
    """
    try:
        events = shop.api.get("/assets/events", limit="100", order_by="-timestamp")["asset_events"]
    except AirflowApiError as error:
        if error.status != 500:
            raise
        return set()
    return {event["extra"].get("payload", {}).get("body") for event in events}


def is_quiet(shop):
    return all(run["state"] == "success" for run in shop.api.dag_runs(QUEUE_DAG))


def order(shop, note):
    shop.pair.source_admin.execute("insert into shop.orders (customer_id, note) values (1, %s)", [note])


def publish(channel, *numbers):
    """Publish messages, and return their bodies."""
    bodies = [json.dumps({"invoice": number, "to": "Łukasz & <Zoë>"}) for number in numbers]
    for body in bodies:
        channel.basic_publish("", QUEUE, body.encode(), BasicProperties(delivery_mode=2))
    return set(bodies)


def count_messages(channel):
    return channel.queue_declare(QUEUE, passive=True).method.message_count


@pytest.fixture
def slot(shop):
    shop.pair.source_admin.execute("create publication report_orders for table shop.orders")
    shop.pair.source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [SLOT])
    return lambda: shop.pair.source.fetch_value(
        "select confirmed_flush_lsn from pg_replication_slots where slot_name = %s", [SLOT]
    )


@pytest.fixture
def channel(shop, rabbitmq_uri):
    parameters = URLParameters(rabbitmq_uri)
    parameters.heartbeat = 0  # nobody answers them while the test waits
    with BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        channel.confirm_delivery()
        yield channel
        channel.queue_delete(QUEUE)


def test_changes_and_messages_start_dags_and_none_is_lost_when_the_triggerer_dies(shop, slot, channel):
    created_at = slot()
    for dag_id in (SLOT_DAG, QUEUE_DAG):
        shop.api.wait_for_dag(dag_id)
        shop.api.unpause(dag_id)

    shop.pair.source_admin.execute("update shop.customers set since = now()")  # not in the publication
    order(shop, "first")
    expected = publish(channel, 1)
    wait_until(lambda: counted(shop) == [2001], timeout_seconds=120, what="a run for the change")
    wait_until(lambda: printed(shop) == expected, timeout_seconds=120, what="a run for the message")
    moved_to = slot()
    expected |= publish(channel, *range(2, 30))
    replace_triggerer(shop)
    order(shop, "second")
    wait_until(lambda: told(shop) >= expected, timeout_seconds=150, what="every message in an event")
    wait_until(lambda: is_quiet(shop), timeout_seconds=60, what="the runs to end")
    # Airflow may leave events of the moment in which it makes a run to the next run.
    expected |= publish(channel, 30)
    wait_until(lambda: printed(shop) == expected, timeout_seconds=120, what="every message in a run")
    wait_until(lambda: counted(shop) == [2001, 2002], timeout_seconds=120, what="a run for the second change")

    assert shop.pair.source.fetch_value("select %s::pg_lsn > %s::pg_lsn", [moved_to, created_at])
    assert shop.pair.source.fetch_value("select %s::pg_lsn > %s::pg_lsn", [slot(), moved_to])
    wait_until(lambda: count_messages(channel) == 0, what="an empty queue")
