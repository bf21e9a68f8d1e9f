"""A lane of apply that dies at a step: what `launcher.py` starts in place of one."""

from __future__ import annotations

import json
import sys

from tests.faults.launcher import arm
from tests.faults.steps import Step
from trempy_provider.jobs.applying import lane_process

if __name__ == "__main__":
    arm(Step(**json.loads(sys.argv[2])))
    lane_process.main(int(sys.argv[1]))
