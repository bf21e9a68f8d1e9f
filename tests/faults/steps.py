"""Every step at which a process may die, as data: between any two of them a guarantee hangs.

A step is a function of the product and the moment before or after one of its calls.
The lists follow the jobs from top to bottom, so that a reader can lay them beside the code.
"""

from __future__ import annotations

from dataclasses import dataclass

JOBS = "trempy_provider.jobs"
POSTGRES = "trempy_provider.postgres"
BROKER = "trempy_provider.broker"
MODES = "trempy_provider.apply_modes"


@dataclass(frozen=True, slots=True)
class Step:
    """The process dies `moment` the call number `hit` of `function` (`module:name`, from where it is used).

    `statement`: only calls with this SQL text count.
    `with_result`: only calls that return something count.
    `in_lane`: the process is that lane of apply, not apply itself.
    """

    name: str
    moment: str
    function: str
    hit: int = 1
    statement: str | None = None
    with_result: bool = False
    in_lane: int | None = None


CAPTURE = (
    Step("slot and progress read; the slot is free", "after", f"{JOBS}.capture:find_starting_point"),
    Step("publisher open; no stream", "before", f"{JOBS}.capture:open_stream"),
    Step("the only capture; no stream", "after", f"{JOBS}.capture:hold_capture_lock"),
    Step("stream open; not counted", "after", f"{JOBS}.capture:open_stream"),
    Step("start of capture counted; nothing read", "after", f"{JOBS}.capture:begin_capture_session"),
    Step("position repeated to the slot; nothing read", "after", f"{POSTGRES}.stream:ChangeStream.confirm"),
    Step("in the middle of a transaction", "after", f"{JOBS}.capture:BatchBuilder.add", hit=4),
    Step("a transaction read; not published", "before", f"{JOBS}.capture:_Capture._publish"),
    Step("batch encoded; not published", "after", f"{JOBS}.capture:message_of"),
    Step("batch handed to the channel", "after", f"{BROKER}.publisher:RabbitMqPublisher.publish"),
    Step("batch sent; not confirmed", "after", f"{BROKER}.publisher:RabbitMqPublisher._send"),
    Step("first chunk of a transaction sent", "after", f"{BROKER}.publisher:RabbitMqPublisher._send", hit=3),
    Step("more chunks of it sent", "after", f"{BROKER}.publisher:RabbitMqPublisher._send", hit=5),
    Step("confirm arrived; not taken note of", "before", f"{BROKER}.publisher:RabbitMqPublisher._on_confirm"),
    Step("batch confirmed; not recorded", "before", f"{JOBS}.capture:advance_capture_progress"),
    Step("progress recorded; slot not confirmed", "after", f"{JOBS}.capture:advance_capture_progress"),
    Step("slot confirmed", "after", f"{POSTGRES}.stream:ChangeStream.confirm", hit=2),
)

CAPTURE_WHILE_IDLE = (
    Step("nothing to publish; not recorded", "before", f"{JOBS}.capture:_Capture._record"),
    Step("that recorded; slot not advanced", "before", f"{POSTGRES}.stream:ChangeStream.confirm_idle"),
    Step("slot advanced", "after", f"{POSTGRES}.stream:ChangeStream.confirm_idle"),
)

APPLY = (
    Step("checkpoint read; dead letters not looked at", "after", f"{JOBS}.apply:read_checkpoint"),
    Step("dead letters looked at; no consumer", "before", f"{BROKER}.rabbitmq:RabbitMqBroker.open_consumer"),
    Step("consumer open", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.open_consumer"),
    Step("delivery arrived; not taken", "after", f"{BROKER}.consumer:RabbitMqConsumer._on_message"),
    Step(
        "delivery taken; no transaction", "after", f"{BROKER}.consumer:RabbitMqConsumer.get", with_result=True
    ),
    Step("checkpoint locked", "after", f"{JOBS}.applying.batches:lock_checkpoint"),
    Step("one table written, others not", "after", f"{MODES}.table_writer:TableWriter.write"),
    Step("rows staged; not written", "after", f"{POSTGRES}.staging:StagingTables.stage"),
    Step("rows written; checkpoint not advanced", "before", f"{JOBS}.applying.batches:advance_checkpoint"),
    Step("checkpoint advanced; not committed", "after", f"{JOBS}.applying.batches:advance_checkpoint"),
    Step("target commits", "before", f"{POSTGRES}.session:Session.execute", statement="commit"),
    Step("target has committed", "after", f"{POSTGRES}.session:Session.execute", statement="commit"),
    Step("not acknowledged", "before", f"{BROKER}.consumer:RabbitMqConsumer.ack"),
    Step("acknowledgement on its way", "after", f"{BROKER}.consumer:RabbitMqConsumer.ack"),
    Step("second batch not acknowledged", "before", f"{BROKER}.consumer:RabbitMqConsumer.ack", hit=2),
    Step("chunk held; not committed", "after", f"{JOBS}.applying.batches:hold_chunk"),
    Step("some chunks held; not committed", "after", f"{JOBS}.applying.batches:hold_chunk", hit=3),
    Step("chunks applied; not deleted", "before", f"{JOBS}.applying.batches:delete_chunks"),
    Step("chunks deleted; not committed", "after", f"{JOBS}.applying.batches:delete_chunks"),
)

LANES = f"{JOBS}.applying.lanes"
APPLY_IN_LANES = (
    Step("lanes given their tables; none started", "before", f"{LANES}:lane_command"),
    Step("one lane started", "after", f"{LANES}:lane_command"),
    Step("message read; given to no lane", "before", f"{LANES}:Lanes.give"),
    Step("message given to one lane", "after", f"{LANES}:_Lane.send"),
    Step("one lane has settled it; not taken note of", "before", f"{LANES}:Lanes._settle"),
    Step("all have; not acknowledged", "before", f"{BROKER}.consumer:RabbitMqConsumer.ack"),
    Step("acknowledged; checkpoint not leveled", "before", f"{JOBS}.applying.in_lanes:level_checkpoint"),
    Step("checkpoint leveled", "after", f"{JOBS}.applying.in_lanes:level_checkpoint"),
)

LANE_PROCESS = f"{JOBS}.applying.lane_process"
LANE = (
    Step("started; checkpoint not read", "before", f"{LANE_PROCESS}:read_checkpoint", in_lane=1),
    Step("message taken", "after", f"{LANE_PROCESS}:_Inbox.get", with_result=True, in_lane=0),
    Step("lane's checkpoint locked", "after", f"{JOBS}.applying.batches:lock_checkpoint", in_lane=2),
    Step("rows staged", "after", f"{POSTGRES}.staging:StagingTables.stage", in_lane=1),
    Step("lane's rows written", "before", f"{JOBS}.applying.batches:advance_checkpoint", in_lane=1),
    Step("lane's checkpoint advanced", "after", f"{JOBS}.applying.batches:advance_checkpoint", in_lane=0),
    Step("lane commits", "before", f"{POSTGRES}.session:Session.execute", statement="commit", in_lane=1),
    Step("lane has committed", "after", f"{POSTGRES}.session:Session.execute", statement="commit", in_lane=0),
    Step("not told", "before", f"{LANE_PROCESS}:_Pipe.send", in_lane=0),
    Step("told", "after", f"{LANE_PROCESS}:_Pipe.send", in_lane=1),
    Step("part of a chunk held", "after", f"{JOBS}.applying.batches:hold_chunk", in_lane=0),
    Step("parts of chunks applied", "before", f"{JOBS}.applying.batches:delete_chunks", in_lane=0),
)

# Capture has started again: what it had sent of open transactions does not count any more.
APPLY_AFTER_CAPTURE = (
    Step("later start of capture not followed", "before", f"{JOBS}.applying.batches:follow_capture_session"),
    Step("followed; not committed", "after", f"{JOBS}.applying.batches:follow_capture_session"),
)

# A batch that fails three times becomes a dead letter.
FAILING_APPLY = (
    Step("one attempt failed", "after", f"{JOBS}.applying.batches:BatchApplier.forget"),
    Step("all attempts failed; no letter yet", "before", f"{JOBS}.applying.giving_up:GivingUp.give_up"),
    Step("letter sent; not recorded", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.add_dead_letter"),
    Step("recorded; not committed", "after", f"{JOBS}.applying.giving_up:record_dead_letter"),
    Step("recorded; not acknowledged", "after", f"{JOBS}.applying.giving_up:GivingUp.give_up"),
)

# After the mend, a dead letter is taken back.
MENDED_APPLY = (
    Step("dead letter found; not applied", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.find_dead_letter"),
    Step("dead letter applied; not noted", "before", f"{JOBS}.applying.deliveries:settle_dead_letter"),
    Step("noted; not removed", "before", f"{BROKER}.rabbitmq:RabbitMqBroker.remove_dead_letter"),
    Step("dead letter removed", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.remove_dead_letter"),
)

SETUP = (
    Step("checked; nothing made", "after", f"{JOBS}.setup:check"),
    Step("metadata schema made", "after", f"{JOBS}.setup:migrate"),
    Step("task known; no publication", "before", f"{JOBS}.setup:ensure_publication"),
    Step("publication made; no queues", "after", f"{JOBS}.setup:ensure_publication"),
    Step("old queues deleted", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.delete_topology"),
    Step("queues made; no slot", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.declare_topology"),
    Step("slot made; nobody knows", "after", f"{JOBS}.setup:create_slot"),
    Step("slot moved; nobody knows", "after", f"{JOBS}.setup:find_start"),
    Step("task complete; not committed", "before", f"{JOBS}.setup:start_progress"),
    Step("tables made; not committed", "after", f"{JOBS}.setup:start_tables"),
)

# With a metadata database: the target's transaction, then the one there.
SETUP_APART = (
    Step("target has its part; the other is not begun", "before", f"{JOBS}.setup:_Steps._complete"),
    Step("other part written; not committed", "after", f"{JOBS}.setup:start_capture_progress"),
)

LOAD = (
    Step("tables marked; no snapshot", "after", f"{JOBS}.full_load:begin_loads"),
    Step("snapshot taken; not recorded", "after", f"{JOBS}.loading.rounds:LoadSnapshot.open"),
    Step("snapshot recorded; nothing copied", "after", f"{JOBS}.loading.records:LoadRecords.record_snapshot"),
    Step("load table made; nothing copied", "after", f"{JOBS}.loading.table_load:design_load"),
    Step("one table copied", "after", f"{JOBS}.loading.table_load:copy_rows"),
    Step("rows copied; no keys", "before", f"{JOBS}.loading.table_load:TableLoad._make_indexes"),
    Step("keys made; changes not replayed", "after", f"{JOBS}.loading.table_load:TableLoad._make_indexes"),
    Step("changes replayed; not in place", "before", f"{JOBS}.loading.placement:_place_patiently"),
    Step("rows in place; not committed", "after", f"{JOBS}.loading.placement:_make_ready"),
    Step("one table ready", "after", f"{JOBS}.loading.placement:_place_patiently"),
)

REPAIR = (
    Step("validation begun; nothing compared", "after", f"{JOBS}.validate:_Validation._begin"),
    Step("rows looked at; not settled", "before", f"{JOBS}.validating.settling:Settler.settle"),
    Step("checkpoint locked", "after", f"{JOBS}.validating.settling:lock_checkpoint"),
    Step("rows staged; not written", "after", f"{JOBS}.validating.repairing:Repairer._stage"),
    Step("rows written; not committed", "after", f"{JOBS}.validating.repairing:Repairer.repair"),
    Step("one table repaired; not recorded", "after", f"{JOBS}.validating.settling:Settler.settle"),
    Step("one table recorded, others not", "after", f"{JOBS}.validate:_Validation.of_table", hit=2),
)

TEARDOWN = (
    Step("slot dropped", "after", f"{JOBS}.teardown:drop_slot"),
    Step("publication dropped", "after", f"{JOBS}.teardown:drop_publication"),
    Step("queues deleted", "after", f"{BROKER}.rabbitmq:RabbitMqBroker.delete_topology"),
    Step("metadata of the task deleted", "after", f"{JOBS}.teardown:delete_task"),
)

TEARDOWN_APART = (
    Step("target's part deleted; the other is there", "after", f"{JOBS}.teardown:_delete_metadata"),
    Step("both parts deleted; the schemas are there", "after", f"{JOBS}.teardown:delete_task", hit=2),
)

STEPS = {
    "capture": CAPTURE,
    "capture while idle": CAPTURE_WHILE_IDLE,
    "apply": APPLY,
    "apply in lanes": APPLY_IN_LANES,
    "lane": LANE,
    "apply after a start of capture": APPLY_AFTER_CAPTURE,
    "failing apply": FAILING_APPLY,
    "mended apply": MENDED_APPLY,
    "setup": SETUP,
    "load": LOAD,
    "repair": REPAIR,
    "teardown": TEARDOWN,
    "setup with a metadata database": SETUP_APART,
    "teardown with a metadata database": TEARDOWN_APART,
}
