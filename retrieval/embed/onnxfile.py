"""The few messages of ONNX that a graph needs, written without the `onnx` package, which is 31 MB.

Field numbers are those of `onnx.proto`, version 9 of the format (https://github.com/onnx/onnx, onnx/onnx.proto).
A test reads what is written with the `onnx` package and its checker. The same graph gives the same bytes, always.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

CONTRIB: Final = "com.microsoft"
"""The domain of the operators that onnxruntime brings along."""

FLOAT: Final = 1
INT64: Final = 7
_TYPES: Final = {"float32": FLOAT, "uint8": 2, "int8": 3, "int64": INT64}
"""TensorProto.DataType, by numpy's name."""

_IR_VERSION: Final = 9
_OPSET: Final = 18
_VARINT, _LENGTH, _FIXED32 = 0, 2, 5


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # a negative number is written as two's complement
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits to the byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | _LENGTH) + _varint(len(data)) + data


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED32) + struct.pack("<f", value)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    dimensions = b"".join(_number(1, size) for size in array.shape)
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return dimensions + _number(2, _TYPES[array.dtype.name]) + _bytes(8, name) + _bytes(9, little.tobytes())


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _bytes(1, name) + _number(3, value) + _number(20, 2)
    return _bytes(1, name) + _float(2, value) + _number(20, 1)


def _value(name: str, kind: int, shape: tuple[int | str, ...]) -> bytes:
    sizes = b"".join(_bytes(1, _number(1, size) if isinstance(size, int) else _bytes(2, size)) for size in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, sizes)))


class Graph:
    """A graph in the making. Values have names; `weight` and `node` give them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[bytes] = []
        self._weights: list[bytes] = []
        self._count = 0

    def weight(self, array: NDArray[Any]) -> str:
        """A constant."""
        self._count += 1
        name = f"w{self._count}"
        self._weights.append(_bytes(5, _tensor(name, array)))
        return name

    def nodes(self, operator: str, inputs: list[str], outputs: int, domain: str = "", **attributes: float) -> list[str]:
        """An operator, and the names of its results."""
        self._count += 1
        names = [f"v{self._count}.{index}" for index in range(outputs)]
        self.named(operator, inputs, names, domain, **attributes)
        return names

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: float) -> str:
        """An operator of one result, and that result's name."""
        return self.nodes(operator, list(inputs), 1, domain, **attributes)[0]

    def named(
        self, operator: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: float
    ) -> None:
        """An operator whose results have the names that the caller wants."""
        node = b"".join(_bytes(1, name) for name in inputs) + b"".join(_bytes(2, name) for name in outputs)
        node += _bytes(4, operator) + b"".join(_bytes(5, _attribute(key, value)) for key, value in attributes.items())
        self._parts.append(_bytes(1, node + (_bytes(7, domain) if domain else b"")))

    def model(
        self,
        inputs: Mapping[str, tuple[int, tuple[int | str, ...]]],
        outputs: Mapping[str, tuple[int, tuple[int | str, ...]]],
        properties: Mapping[str, str],
    ) -> bytes:
        """The file. Inputs and outputs are by name, with their type and shape; properties are texts for the reader."""
        graph = b"".join(self._parts) + _bytes(2, self._name) + b"".join(self._weights)
        graph += b"".join(_bytes(11, _value(name, *what)) for name, what in inputs.items())
        graph += b"".join(_bytes(12, _value(name, *what)) for name, what in outputs.items())
        return b"".join(
            (
                _number(1, _IR_VERSION),
                _bytes(2, "dkg"),
                _bytes(7, graph),
                _bytes(8, _bytes(1, "") + _number(2, _OPSET)),
                _bytes(8, _bytes(1, CONTRIB) + _number(2, 1)),
                *(_bytes(14, _bytes(1, key) + _bytes(2, value)) for key, value in properties.items()),
            )
        )
