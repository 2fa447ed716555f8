"""How long a refusal takes: of a private part that is there and not granted, and of one that does not exist.

    python -m tests.node.private.timing [REQUESTS]

Prints the figures that docs/private.md has. It is no test: what a clock says on a busy machine fails nobody's build.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.node.http.world import ual
from tests.node.private.site import OTHER, PrivateSite, site_with_private_parts

ROUNDS = 10


async def measured(site: PrivateSite, shown: dict[str, str], requests: int) -> dict[str, list[float]]:
    """Seconds of each request, by kind, in random order."""
    found: dict[str, list[float]] = {"not granted": [], "does not exist": []}
    urls = {
        "not granted": f"/sparql?query=ASK%20%7B%7D&private={ual(0, 'air')}",
        "does not exist": f"/sparql?query=ASK%20%7B%7D&private={ual(0, 'aix')}",
    }
    kinds = [*found] * requests
    random.Random(7).shuffle(kinds)
    transport = httpx.ASGITransport(site.app, client=site.peer)
    async with httpx.AsyncClient(transport=transport, base_url=site.base, headers=shown, trust_env=False) as client:
        for kind in kinds:
            start = time.perf_counter()
            response = await client.get(urls[kind])
            found[kind].append(time.perf_counter() - start)
            assert response.status_code == 404
    return found


def main(requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder, site_with_private_parts(Path(folder)) as site:
        shown = site.session(OTHER)
        asyncio.run(measured(site, shown, 200))
        differences = []
        for number in range(ROUNDS):
            site.log.clear()
            there, nowhere = asyncio.run(measured(site, shown, requests)).values()
            one, other = statistics.median(there), statistics.median(nowhere)
            differences.append((one - other) / other)
            sys.stdout.write(
                f"{number}: not granted {one * 1e6:.1f} us, does not exist {other * 1e6:.1f} us (medians)\n"
            )
        mean, spread = statistics.mean(differences), statistics.stdev(differences)
        sys.stdout.write(
            f"difference of medians, {ROUNDS} x {requests} requests: {mean:+.2%} (standard deviation {spread:.2%})\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
