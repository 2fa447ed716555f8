"""A client of the chain in a process that did nothing before: `bench.coldclient JSON`."""

from __future__ import annotations

import time

_START = time.perf_counter()

import json  # noqa: E402 - the clock runs
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from dkg.chain.commit import Domain  # noqa: E402
from dkg.chain.secp import address_from_text  # noqa: E402
from dkg.client.anchored import Client  # noqa: E402
from dkg.client.chainread import RpcReader  # noqa: E402
from dkg.client.rpc import HttpRpc  # noqa: E402

_ask = json.loads(sys.argv[1])
_rpc = HttpRpc(_ask["url"])
_domain = Domain(_ask["chain_id"], address_from_text(_ask["registry"]))
_proof = Path(_ask["proof"]).read_bytes()
with Client(RpcReader(_rpc), _domain, address_from_text(_ask["publisher"]), clock=time.time) as _client:
    _answer = _client.verify(_proof, _ask["query"])
    _done = time.perf_counter()
    _figures = {"seconds": _done - _START, "bytes_read": _rpc.bytes_read, "requests": _rpc.requests}
    _client.verify(_proof, _ask["query"])
    _figures["warm_seconds"] = time.perf_counter() - _done
_status = Path("/proc/self/status").read_text()

from bench import processes  # noqa: E402 - after time and memory were read

if _heavy := {"web3", "torch", "libp2p"} & sys.modules.keys():
    raise ImportError(f"an edge client does not import {sorted(_heavy)}")
_figures |= {"rss": processes.peak(_status), "rows": len(_answer.answer)}
sys.stdout.write(json.dumps(_figures) + "\n")
