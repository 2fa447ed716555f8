"""The demo: real data in, verified answers out; publishers on a chain, a network of peers, a model that answers.

Every lie is refused. `scripts/demo` sets up what this needs. The parts are in `_demo_core.py`, `_demo_chain.py`,
`_demo_nodes.py`, `_demo_checkpoints.py` and `_demo_ask.py` beside this file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _demo_ask import Asking
from _demo_chain import OnChain
from _demo_checkpoints import Checkpointing
from _demo_core import Core
from _demo_nodes import Nodes

from dkg.client.progress import duration


def main() -> int:
    """Run the demo; 0 if everything was as it should be."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all of HPO, 1.7 M triples, not a slice")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON and nothing else")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="work in this new directory and keep it")
    args = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="dkg-demo-") as scratch:
        work = args.keep.resolve() if args.keep else Path(scratch)
        work.mkdir(parents=True, exist_ok=not args.keep)
        core = Core(work, full=args.full, quiet=args.json)
        core.run()
        chain = OnChain(work, core.store, quiet=args.json)
        chain.run()
        nodes = Nodes(work, chain.work / "rett.nt", quiet=args.json)
        checkpoints: dict[str, object] = {}

        def then(network: Nodes) -> None:
            part = Checkpointing(network, quiet=args.json)
            part.run()
            checkpoints.update(part.figures)

        nodes.run(then)
        asking = Asking(work, quiet=args.json)
        asking.run()
        seconds = time.perf_counter() - start
        core.head(f"All as it should be, in {duration(seconds)}.")
    if args.json:
        parts = {"chain": chain.figures, "nodes": nodes.figures, "checkpoints": checkpoints, "ask": asking.figures}
        print(json.dumps(core.figures | parts | {"seconds": seconds}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
