"""Capture and apply may be killed between any two steps; what runs next makes the target equal again (G12)."""

from __future__ import annotations

import pytest

from tests.faults.dying import assert_died, by_name, die_at, go_on, in_turn, start
from tests.faults.launcher import owner_of
from tests.faults.steps import (
    APPLY,
    APPLY_AFTER_CAPTURE,
    CAPTURE,
    CAPTURE_WHILE_IDLE,
    FAILING_APPLY,
    MENDED_APPLY,
    STEPS,
    Step,
)
from tests.support.site import Site

VERSIONS = ("15-18", "18-15")
BOTH = (
    ("batch sent; not confirmed", "checkpoint locked"),
    ("first chunk of a transaction sent", "chunk held; not committed"),
    ("batch confirmed; not recorded", "target has committed"),
    ("progress recorded; slot not confirmed", "not acknowledged"),
    ("slot confirmed", "checkpoint advanced; not committed"),
)


@pytest.mark.parametrize(
    "step", [pytest.param(step, id=f"{job}: {step.name}") for job, steps in STEPS.items() for step in steps]
)
def test_every_step_is_a_function_of_the_product(step: Step):
    owner, name = owner_of(step)

    assert callable(getattr(owner, name))


@by_name(CAPTURE, on=VERSIONS)
def test_capture_killed(site: Site, step: Step):
    site.capture.kill()
    site.write()

    die_at(site.capture, step)
    assert_died(site.capture, step)

    go_on(site)
    site.assert_converged()


@by_name(APPLY, on=VERSIONS)
def test_apply_killed(site: Site, step: Step):
    die_at(site.apply, step)
    site.write()

    assert_died(site.apply, step)

    go_on(site)
    site.assert_converged()


@by_name(APPLY_AFTER_CAPTURE, on=VERSIONS)
def test_apply_killed_after_capture_has_started_again(site: Site, step: Step):
    site.capture.kill()
    die_at(site.apply, step)
    site.write()

    start(site.capture)
    assert_died(site.apply, step)

    go_on(site)
    site.assert_converged()


@in_turn("steps", {" / ".join(names): names for names in BOTH}, on=VERSIONS)
def test_both_killed(site: Site, steps: tuple[str, str]):
    in_capture = next(step for step in CAPTURE if step.name == steps[0])
    in_apply = next(step for step in APPLY if step.name == steps[1])
    site.capture.kill()
    site.write()

    die_at(site.apply, in_apply)
    die_at(site.capture, in_capture)
    assert_died(site.capture, in_capture)
    start(site.capture)
    assert_died(site.apply, in_apply)

    go_on(site)
    site.assert_converged()


@by_name(CAPTURE_WHILE_IDLE, on=VERSIONS)
def test_capture_killed_while_nothing_is_to_be_published(site: Site, step: Step):
    site.wait_until_level()
    site.capture.kill()
    site.databases.source_admin.execute("create table if not exists public.other (id int)")
    site.databases.source_admin.execute("insert into public.other values (1)")

    die_at(site.capture, step, "--until-caught-up")
    assert_died(site.capture, step)

    site.write()
    go_on(site)
    site.assert_converged()


@pytest.fixture
def broken_site(site: Site) -> Site:
    """A site whose apply has ended, and whose target lacks a column until `mend`."""
    site.wait_until_level()
    site.apply.kill()
    site.databases.target_admin.execute("alter table public.keyed rename column v to missing")
    return site


def mend(site: Site) -> None:
    site.databases.target_admin.execute("alter table public.keyed rename column missing to v")


@by_name(FAILING_APPLY, on=VERSIONS)
def test_apply_killed_while_a_batch_fails(broken_site: Site, step: Step):
    broken_site.write()

    die_at(broken_site.apply, step)
    assert_died(broken_site.apply, step)

    mend(broken_site)
    go_on(broken_site)
    broken_site.assert_converged()


@by_name(MENDED_APPLY, on=VERSIONS)
def test_apply_killed_while_a_dead_letter_is_taken_back(broken_site: Site, step: Step):
    broken_site.write()
    start(broken_site.apply)
    assert broken_site.apply.wait() == 1
    mend(broken_site)

    die_at(broken_site.apply, step)
    assert_died(broken_site.apply, step)

    go_on(broken_site)
    broken_site.assert_converged()
