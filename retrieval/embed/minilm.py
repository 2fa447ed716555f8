"""all-MiniLM-L6-v2 as an ONNX graph in int8, made from its safetensors by numpy alone.

BERT of six layers, 384 wide, twelve heads, then the mean over the tokens and length one. What is int8:

- Weights of matrices, and the vectors of the vocabulary: a scale for each row that makes its largest number 127.
- What is multiplied with them: a scale for each *token*, found while running. Most exporters find one for the whole
  batch; then a text's vector depends on the texts beside it, and is further off (docs/adr/0010).

The rest is float32. There is no padding and no mask: a batch has texts of one length (`retrieval.embed.onnx_int8`).
The same weights give the same file, byte for byte, since every number is rounded as IEEE 754 says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from retrieval.embed.onnxfile import CONTRIB, FLOAT, INT64, Graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.embed.weights import Tensors

LAYERS: Final = 6
HEADS: Final = 12
WIDTH: Final = 384
EPSILON: Final = 1e-12
"""In the normalisation of layers, as in the model's config.json."""

_LEVELS: Final = np.float32(127)
_ZERO: Final = 128
_TINY: Final = np.float32(1e-12)
"""The smallest scale times 127: what is all zero is not divided by zero."""


def quantised(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows as integers from -127 to 127, and the scale of each, of shape (rows, 1): the matrix is their product."""
    scales = np.maximum(np.abs(matrix).max(axis=1, keepdims=True), _TINY) / _LEVELS
    return np.rint(matrix / scales).astype(np.int8), scales.astype(np.float32)


class _Builder:
    """The graph, with its constants that many operators use."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.graph = Graph("all-MiniLM-L6-v2")
        self.axis = self.graph.weight(np.array([1], dtype=np.int64))
        self.flat = self.graph.weight(np.array([-1, WIDTH], dtype=np.int64))
        self.tiny = self.graph.weight(np.array(_TINY))
        self.level = self.graph.weight(np.array(np.float32(1) / _LEVELS))
        self.one = self.graph.weight(np.ones((), dtype=np.float32))
        self.zero = self.graph.weight(np.array(_ZERO, dtype=np.uint8))

    def weights(self, *names: str) -> list[str]:
        """Tensors of the file as they are."""
        return [self.graph.weight(self.tensors[name]) for name in names]

    def product(self, rows: str, matrix: NDArray[np.float32]) -> str:
        """Rows of shape (tokens, n) times the transpose of a matrix, in int8; the result has its scale, and no bias."""
        graph = self.graph
        largest = graph.node("ReduceMax", graph.node("Abs", rows), self.axis, keepdims=0)
        scale = graph.node("Mul", graph.node("Max", largest, self.tiny), self.level)
        zeros = graph.node("Expand", self.zero, graph.node("Shape", scale))
        whole = graph.node("QuantizeLinear", rows, scale, zeros, axis=0)
        weights, scales = quantised(matrix)
        result = graph.node(
            "MatMulIntegerToFloat",
            whole,
            graph.weight(weights.T),
            self.one,
            graph.weight(scales.ravel()),
            self.zero,
            domain=CONTRIB,
        )
        return graph.node("Mul", result, graph.node("Unsqueeze", scale, self.axis))

    def added(self, rows: str, before: str, layer: str, bias: str) -> str:
        """The end of each half of a layer: its result and its input are added and normalised."""
        norm = self.weights(f"{layer}.LayerNorm.weight", f"{layer}.LayerNorm.bias")
        return self.graph.node(
            "SkipLayerNormalization", rows, before, *norm, *self.weights(bias), domain=CONTRIB, epsilon=EPSILON
        )

    def embedded(self, shape: str) -> str:
        """Tokens as rows: of the vocabulary, plus of their place."""
        graph, tensors = self.graph, self.tensors
        whole, scales = quantised(tensors["embeddings.word_embeddings.weight"])
        words = graph.node("Cast", graph.node("Gather", graph.weight(whole), "ids"), to=FLOAT)
        words = graph.node("Mul", words, graph.node("Gather", graph.weight(scales), "ids"))
        kind = tensors["embeddings.token_type_embeddings.weight"][0]
        places = tensors["embeddings.position_embeddings.weight"] + kind
        start = graph.weight(np.zeros(1, dtype=np.int64))
        length = graph.node("Slice", shape, self.axis, graph.weight(np.array([2], dtype=np.int64)))
        place = graph.node("Slice", graph.weight(places), start, length, start)
        norm = self.weights("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias")
        rows = graph.node("LayerNormalization", graph.node("Add", words, place), *norm, epsilon=EPSILON)
        return graph.node("Reshape", rows, self.flat)

    def layer(self, rows: str, prefix: str, shape: str) -> str:
        """Attention, then two products with a bend between them."""
        graph, tensors = self.graph, self.tensors
        parts = [f"{prefix}.attention.self.{name}" for name in ("query", "key", "value")]
        together = self.product(rows, np.concatenate([tensors[f"{part}.weight"] for part in parts]))
        bias = graph.weight(np.concatenate([tensors[f"{part}.bias"] for part in parts]))
        split = graph.nodes("Split", [graph.node("Reshape", together, shape)], 3, axis=-1, num_outputs=3)
        seen = graph.node("MultiHeadAttention", *split, bias, domain=CONTRIB, num_heads=HEADS)
        seen = self.product(graph.node("Reshape", seen, self.flat), tensors[f"{prefix}.attention.output.dense.weight"])
        rows = self.added(seen, rows, f"{prefix}.attention.output", f"{prefix}.attention.output.dense.bias")
        wide = self.product(rows, tensors[f"{prefix}.intermediate.dense.weight"])
        wide = graph.node("BiasGelu", wide, *self.weights(f"{prefix}.intermediate.dense.bias"), domain=CONTRIB)
        narrow = self.product(wide, tensors[f"{prefix}.output.dense.weight"])
        return self.added(narrow, rows, f"{prefix}.output", f"{prefix}.output.dense.bias")


def exported(tensors: Tensors, tokenizer: str) -> bytes:
    """The model as an ONNX file: `ids` of shape (texts, tokens) in, `vectors` of shape (texts, 384) and length one out.

    The tokenizer goes along as the property `tokenizer`, so that one file is all that a device needs.
    """
    builder = _Builder(tensors)
    graph = builder.graph
    size = graph.node("Shape", "ids")
    shape = graph.node("Concat", size, graph.weight(np.array([-1], dtype=np.int64)), axis=0)
    rows = builder.embedded(size)
    for layer in range(LAYERS):
        rows = builder.layer(rows, f"encoder.layer.{layer}", shape)
    mean = graph.node("ReduceMean", graph.node("Reshape", rows, shape), builder.axis, keepdims=0)
    graph.named("LpNormalization", [mean], ["vectors"], axis=-1, p=2)
    return graph.model(
        {"ids": (INT64, ("texts", "tokens"))}, {"vectors": (FLOAT, ("texts", WIDTH))}, {"tokenizer": tokenizer}
    )
