"""Fixtures of every test. They are lazy: tests/unit starts no server."""

import secrets
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from sandbox.rabbitmq import RabbitMqServer
from tests.support.databases import Database, DatabasePair, database_pair
from tests.support.databases import metadata_database as make_metadata_database
from tests.support.distribution import WITH_AIRFLOW, Distribution, interrupt_once
from tests.support.servers import (
    SOURCE_VARIABLE,
    TARGET_VARIABLE,
    DatabaseServer,
    GivenBroker,
    ServerMissingError,
    ServerPool,
    describe_broker,
    describe_database_server,
    describe_marked_versions,
    open_broker,
    parse_versions,
    servers_are_given,
    versions_to_run,
)

settings.register_profile("trempy", deadline=None)  # a busy machine is no failure
settings.load_profile("trempy")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("servers")
    group.addoption("--pg-source", type=int, help="PostgreSQL major version of the source (default: lowest)")
    group.addoption("--pg-target", type=int, help="PostgreSQL major version of the target (default: lowest)")
    group = parser.getgroup("model")
    group.addoption(
        "--model-minutes", type=float, default=2, help="how long the model test runs (default: 2)"
    )
    group.addoption("--model-seed", help="the seed of a former run, or of one of its episodes")


def pytest_configure(config: pytest.Config) -> None:
    """Leave through the fixtures' clean-up when somebody ends the run."""
    interrupt_once((signal.SIGTERM, signal.SIGINT))
    if config.getoption("numprocesses", None):
        config.pluginmanager.register(Distribution())


def pytest_report_header(config: pytest.Config) -> list[str]:
    source, target = config.getoption("--pg-source"), config.getoption("--pg-target")
    return [
        f"source: {describe_database_server(SOURCE_VARIABLE, source)}",
        f"target: {describe_database_server(TARGET_VARIABLE, target)}",
        f"marked for a version: {describe_marked_versions()}",
        f"broker: {describe_broker()}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run together what shares an Airflow, whatever the random order: it is started once."""
    items.sort(key=lambda item: [item.nodeid.startswith(folder) for folder in WITH_AIRFLOW], reverse=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked `pg(15, "15-18")` once per version; given servers have one version, so once."""
    marker = metafunc.definition.get_closest_marker("pg")
    if marker is None or "pg_versions" not in metafunc.fixturenames or servers_are_given():
        return
    versions = list(dict.fromkeys(versions_to_run(str(marked)) for marked in marker.args))
    metafunc.parametrize(
        "pg_versions", versions, indirect=True, scope="session", ids=lambda version: f"pg{version}"
    )


@pytest.fixture(scope="session")
def pg_versions(request: pytest.FixtureRequest) -> tuple[int | None, int | None]:
    """Choose the major versions of source and target; None is the lowest there is."""
    if hasattr(request, "param"):
        return parse_versions(str(request.param))
    return request.config.getoption("--pg-source"), request.config.getoption("--pg-target")


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    """Hold the PostgreSQL servers of this session, each started when a test first asks for it."""
    with ServerPool() as pool:
        yield pool


@pytest.fixture(scope="session")
def source_server(server_pool: ServerPool, pg_versions: tuple[int | None, int | None]) -> DatabaseServer:
    return server_pool.open(SOURCE_VARIABLE, pg_versions[0])


@pytest.fixture(scope="session")
def target_server(server_pool: ServerPool, pg_versions: tuple[int | None, int | None]) -> DatabaseServer:
    return server_pool.open(TARGET_VARIABLE, pg_versions[1])


@pytest.fixture
def databases(
    request: pytest.FixtureRequest, source_server: DatabaseServer, target_server: DatabaseServer
) -> Iterator[DatabasePair]:
    """Make a fresh source and target database with least-privilege roles, dropped at the end.

    The mark `encodings("LATIN1", "UTF8")` chooses their encodings.
    """
    marker = request.node.get_closest_marker("encodings")
    source_encoding, target_encoding = ("UTF8", "UTF8") if marker is None else marker.args
    with database_pair(
        source_server, target_server, source_encoding=source_encoding, target_encoding=target_encoding
    ) as pair:
        yield pair


@pytest.fixture
def metadata_database(source_server: DatabaseServer) -> Iterator[Database]:
    """Make a fresh metadata database beside the source, on another server than the target."""
    with make_metadata_database(source_server) as database:
        yield database


@pytest.fixture(scope="session")
def broker_server() -> Iterator[GivenBroker | RabbitMqServer]:
    """Return the broker itself, for tests that ask its management interface or rabbitmqctl."""
    try:
        broker = open_broker()
    except ServerMissingError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
    yield broker
    broker.remove()


@pytest.fixture(scope="session")
def rabbitmqctl(broker_server: GivenBroker | RabbitMqServer) -> Callable[..., str]:
    """Return what runs rabbitmqctl against the broker; tests that need it are skipped with a given one."""
    if not isinstance(broker_server, RabbitMqServer):
        pytest.skip("needs rabbitmqctl, which a broker given by its URI does not offer")
    return broker_server.ctl


@pytest.fixture(scope="session")
def rabbitmq_uri(broker_server: GivenBroker | RabbitMqServer) -> str:
    return broker_server.amqp_uri


@pytest.fixture
def make_task_name() -> Callable[[], str]:
    """Make names that no other test uses, so that slots, publications and queues do not collide."""
    return lambda: f"test_{secrets.token_hex(4)}"


@pytest.fixture
def task_name(make_task_name: Callable[[], str]) -> str:
    return make_task_name()
