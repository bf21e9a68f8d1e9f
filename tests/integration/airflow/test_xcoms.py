"""What operators leave as XCom: what the README says, small, and without a secret."""

import inspect
import json
import pkgutil
import re
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from airflow.sdk.exceptions import TaskDeferred

from trempy_provider import operators
from trempy_provider.operators.announce import TrempyAnnounceOperator
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.base import TrempyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.check import TrempyCheckOperator
from trempy_provider.operators.cutover import TrempyCutoverOperator
from trempy_provider.operators.dead_letters import TrempyDeadLettersOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.lease import LeaseProgress
from trempy_provider.operators.monitor import TrempyMonitorOperator
from trempy_provider.operators.refresh import TrempyRefreshOperator
from trempy_provider.operators.reload import TrempyReloadOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.skip import TrempySkipOperator
from trempy_provider.operators.suggest import SuggestTaskOperator
from trempy_provider.operators.sweep import TrempySweepOperator
from trempy_provider.operators.sync_sequences import TrempySyncSequencesOperator
from trempy_provider.operators.teardown import TrempyTeardownOperator
from trempy_provider.operators.validate import TrempyValidateOperator
from trempy_provider.sensors.caught_up import ReplicationCaughtUpSensor

README = (Path(__file__).parents[3] / "README.md").read_text()
LARGEST_BYTES = 2000
# In the order in which they can run.
WITH_NAMED_FACTS = (
    TrempyCheckOperator,
    TrempySetupOperator,
    TrempyFullLoadOperator,
    TrempyCaptureOperator,
    TrempyApplyOperator,
    TrempyRefreshOperator,
    TrempySyncSequencesOperator,
    TrempyValidateOperator,
    TrempyCutoverOperator,
    TrempyMonitorOperator,
    TrempyAnnounceOperator,
    TrempyDeadLettersOperator,
    TrempySkipOperator,
    TrempyReloadOperator,
    TrempySweepOperator,
    TrempyTeardownOperator,
)


def documented():
    """Return the facts that the README's table names, by operator."""
    table = README.partition("<!-- xcoms: begin -->")[2].partition("<!-- xcoms: end -->")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return {
        name: set(re.findall(r"`([a-z_]+)`", facts))
        for _, names, facts, _ in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def operators_of_the_package():
    modules = [
        import_module(f"{operators.__name__}.{m.name}") for m in pkgutil.iter_modules(operators.__path__)
    ]
    classes = {cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)}
    return {cls.__name__ for cls in classes if issubclass(cls, TrempyOperator) and hasattr(cls, "job")}


def test_every_operator_is_documented():
    others = {ReplicationCaughtUpSensor.__name__, SuggestTaskOperator.__name__}
    assert set(documented()) == {*operators_of_the_package(), *others}


def xcom_of(operator):
    context = {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc)), "params": {}}
    try:
        return operator.execute(context)
    except TaskDeferred as deferred:  # in the middle of a lease: what it would return now
        return LeaseProgress(**deferred.trigger.progress).summary()


@pytest.fixture
def xcoms(connections, settings):
    """Run every operator of a task that follows a change, and return what each leaves."""
    connections.source_admin.execute("create table public.orders (id bigint primary key, note text)")
    found = {}
    for operator in WITH_NAMED_FACTS:
        arguments = {"lsn": "FFFFFFFF/0"} if operator is TrempySkipOperator else {}
        found[operator.__name__] = xcom_of(operator(task_id="tested", settings=settings, **arguments))
        if operator is TrempyFullLoadOperator:
            connections.source_admin.execute("insert into public.orders values (1, 'a value of a row')")
    return found


def test_xcoms_are_what_the_readme_says_and_small_and_without_secrets(xcoms, connections):
    names = documented()

    text = {name: json.dumps(facts) for name, facts in xcoms.items()}

    assert {name: set(facts) for name, facts in xcoms.items()} == {name: names[name] for name in xcoms}
    assert max(map(len, text.values())) < LARGEST_BYTES
    secrets = {urlsplit(uri).password for uri in (connections.source_uri, connections.target_uri)}
    assert not [name for name in text for secret in (*secrets, "a value of a row") if secret in text[name]]
