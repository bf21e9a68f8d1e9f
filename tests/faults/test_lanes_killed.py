"""Apply and each of its lanes may be killed between any two steps; every change has its effect once (G12)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.faults.dying import assert_died, die_at, go_on
from tests.faults.steps import APPLY_IN_LANES, LANE, Step
from tests.support.databases import database_pair
from tests.support.servers import SOURCE_VARIABLE, TARGET_VARIABLE, ServerPool
from tests.support.site import Site, open_site
from tests.support.wait import wait_until

IN_LANES = {"cdc_settings": {"batch_max_rows": 20, "apply_lanes": 3}}


@pytest.fixture(scope="module")
def site_in_lanes(
    server_pool: ServerPool,
    pg_versions: tuple[int | None, int | None],
    rabbitmq_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    source = server_pool.open(SOURCE_VARIABLE, pg_versions[0])
    target = server_pool.open(TARGET_VARIABLE, pg_versions[1])
    with database_pair(source, target) as databases:
        databases.allow_replica_role()
        with open_site(
            databases,
            rabbitmq_uri=rabbitmq_uri,
            task_name=f"lanes_{secrets.token_hex(4)}",
            folder=tmp_path_factory.mktemp("site"),
            task=IN_LANES,
        ) as site:
            yield site


@pytest.fixture
def site(site_in_lanes: Site) -> Site:
    """A task whose tables are in three lanes, its halves running."""
    site_in_lanes.start()
    return site_in_lanes


@pytest.mark.parametrize("step", APPLY_IN_LANES, ids=lambda step: step.name)
def test_apply_killed_beside_its_lanes(site: Site, step: Step):
    die_at(site.apply, step)
    site.write()

    assert_died(site.apply, step)

    go_on(site)
    assert_all_lanes_converged(site)


@pytest.mark.parametrize("step", LANE, ids=lambda step: step.name)
def test_lane_killed_beside_the_others(site: Site, step: Step):
    die_at(site.apply, step)
    site.write()

    wait_until(
        lambda: f"dies at: {step.name}\n" in site.apply.log, timeout_seconds=60, what="the lane to die"
    )

    assert_all_lanes_converged(site)
    assert site.apply.is_running


def assert_all_lanes_converged(site: Site) -> None:
    """A row of one lane that has arrived says nothing of the others."""
    site.replication().wait_until_level()
    site.assert_converged()
    assert site.count("lanes") == 3
