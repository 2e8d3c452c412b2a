"""Files and words from anybody: never a traceback, never a hang. In bulk: `benchmarks/hostile_input.py`."""

import pytest
from shared_hostile import KINDS, try_case

CASES = 30


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_input_gets_an_error_of_ours(kind):
    findings = {number: finding for number in range(CASES) if (finding := try_case(kind, number))}
    assert findings == {}
