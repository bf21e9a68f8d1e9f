"""A run for the messages of a RabbitMQ queue: a DAG of Airflow that a message starts, whoever has sent it.

It needs the extra `messaging` of this package, the connection `trempy_broker`, and the queue, declared by its
owner: durable, of the type quorum, with a dead-letter exchange.
A run gets all messages since the one before it; Airflow may leave one that comes in the moment in which a run
is made to the run of the next message.
"""

import pendulum
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, task

messages = MessageQueueTrigger(
    scheme="rabbitmq", queue_name="invoices_to_print", rabbitmq_conn_id="trempy_broker"
)
invoices = Asset("invoices_to_print", watchers=[AssetWatcher(name="invoices_queue", trigger=messages)])

with DAG(
    dag_id="trempy_example_queue_messages",
    schedule=[invoices],
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    tags=["trempy", "example"],
    doc_md=__doc__,
):

    @task
    def print_invoices(triggering_asset_events=None) -> list[str]:
        events = triggering_asset_events[invoices]
        return [event.extra["payload"]["body"] for event in events]

    print_invoices()
