"""How many examples the property tests try: `HYPOTHESIS_PROFILE` is `ci` (the default) or `deep`.

`ci` tries the same examples on every run, so that a red build is red again on the next machine; `deep`, which
`scripts/test --deep` takes, tries new ones, and many more. A test that asks for fewer asks for a share of the
profile's number: `@settings(max_examples=settings().max_examples // 4)`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: a slow machine is no wrong answer.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "ci", derandomize=True, database=None, max_examples=100, deadline=None, suppress_health_check=_SLOW
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
