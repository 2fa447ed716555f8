"""What is written is ONNX: read back with the `onnx` package, whose code shares nothing with ours."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime import InferenceSession  # type: ignore[import-untyped]

from retrieval.embed.onnxfile import FLOAT, INT64, Graph


def _sum_of_rows() -> bytes:
    graph = Graph("sums")
    table = graph.weight(np.arange(12, dtype=np.float32).reshape(4, 3))
    axis = graph.weight(np.array([-1], dtype=np.int64))
    graph.named("ReduceSum", [graph.node("Gather", table, "ids"), axis], ["sums"], keepdims=0)
    return graph.model({"ids": (INT64, ("n",))}, {"sums": (FLOAT, ("n",))}, {"note": "grüße"})


def test_written_graph_passes_the_checker_of_onnx_and_computes() -> None:
    data = _sum_of_rows()
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"note": "grüße"}
    (sums,) = InferenceSession(data).run(None, {"ids": np.array([3, 0], dtype=np.int64)})
    assert sums.tolist() == [30.0, 3.0]


@pytest.mark.parametrize("kind", ["float32", "uint8", "int8", "int64"])
def test_weights_of_each_type_come_back(kind: str) -> None:
    array = np.array([[0, 1, 2], [100, 127, 3]]).astype(kind)
    graph = Graph("one")
    graph.named("Identity", [graph.weight(array)], ["same"])
    model = onnx.load_from_string(graph.model({}, {"same": (FLOAT, (2, 3))}, {}))
    read = numpy_helper.to_array(model.graph.initializer[0])
    assert read.dtype == array.dtype
    assert np.array_equal(read, array)


def test_a_negative_and_a_fractional_attribute_come_back() -> None:
    graph = Graph("attributes")
    graph.node("Any", "x", axis=-1, epsilon=0.5, keepdims=0)
    node = onnx.load_from_string(graph.model({}, {}, {})).graph.node[0]
    assert {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute} == {
        "axis": -1,
        "epsilon": 0.5,
        "keepdims": 0,
    }


def test_a_weight_that_is_transposed_is_written_in_its_own_order() -> None:
    array = np.arange(6, dtype=np.int8).reshape(2, 3).T
    graph = Graph("transposed")
    graph.named("Identity", [graph.weight(array)], ["same"])
    model = onnx.load_from_string(graph.model({}, {"same": (FLOAT, (3, 2))}, {}))
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert _sum_of_rows() == _sum_of_rows()
