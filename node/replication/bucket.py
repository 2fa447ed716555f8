"""Token buckets: how much a peer may ask for, measured with a clock that is handed in."""

from __future__ import annotations


class Bucket:
    """Fills with `rate` tokens a second up to `burst`. It may be overdrawn once, and then has to fill up again."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(now, self._at)

    def wait_s(self, now: float) -> float:
        """Seconds until there is something in it; 0 if there is."""
        self._fill(now)
        return 0.0 if self._tokens > 0 else -self._tokens / self._rate + 1 / self._rate

    def take(self, tokens: float, now: float) -> None:
        """Take tokens, more than there are if need be: what an answer costs is known when it is made."""
        self._fill(now)
        self._tokens -= tokens
