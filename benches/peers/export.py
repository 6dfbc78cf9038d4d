"""Writes the speaker network of the public checkpoint as ONNX: fp32, and int8 by ONNX Runtime's own static quantisation.

Batch norms are folded wherever a convolution comes before them, as any exporter's constant folding leaves them.
Input `features` [1, frames, 80]: mean-normalised, the missing band zero. Output `embedding` [1, 192], not yet at unit length.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import reference

OPSET = 17
ROWS, CHANNELS = reference.ROWS, 32


class Graph:
    """Collects nodes and constants; each method appends one step and gives the name of its result."""

    def __init__(self, layers):
        self.layers = layers
        self.nodes = []
        self.constants = {}

    def constant(self, name, value):
        """Names a constant, once."""
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def step(self, operator, inputs, name, **attributes):
        """One node."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def conv(self, name, source, weights, **attributes):
        """A convolution with its folded bias."""
        weights = self.constant(f"{name}.weights", weights.astype(np.float32))
        bias = self.constant(f"{name}.bias", self.layers[name].bias.astype(np.float32))
        return self.step("Conv", [source, weights, bias], name, **attributes)

    def relu(self, source):
        """Zero where negative."""
        return self.step("Relu", [source], f"{source}.relu")

    def norm(self, name, source):
        """A batch norm that no convolution takes in, and its ReLU."""
        layer = self.layers[name]
        count = len(layer.gain)
        parts = [layer.gain, layer.offset, np.zeros(count), np.ones(count)]
        parts = [self.constant(f"{name}.{place}", part.astype(np.float32)) for place, part in enumerate(parts)]
        return self.relu(self.step("BatchNormalization", [source, *parts], name, epsilon=0.0))


def fp32(layers):
    """The network as an ONNX model."""
    graph = Graph(layers)
    x = graph.step("Transpose", ["features"], "turned", perm=[0, 2, 1])
    x = graph.step("Unsqueeze", [x, graph.constant("one", np.array([1], np.int64))], "map")
    x = _head(graph, x)
    x = graph.step("Reshape", [x, graph.constant("rows", np.array([1, ROWS * CHANNELS, -1], np.int64))], "joined")
    x = graph.relu(graph.conv("tdnn", x, _tdnn(layers["tdnn"]), strides=[2], pads=[2, 2]))
    segments = _segments(graph, x)
    for block, (count, dilation) in enumerate(reference.BLOCKS, 1):
        for layer in range(1, count + 1):
            grown = _dense_layer(graph, f"block{block}.{layer}", x, (dilation, segments))
            x = graph.step("Concat", [x, grown], f"block{block}.{layer}.all", axis=1)
        x = graph.norm(f"transit{block}.norm", x)
        x = graph.conv(f"transit{block}.conv", x, _span(layers[f"transit{block}.conv"]))
    _end(graph, x)
    return _model(graph)


def _head(graph, x):
    x = graph.relu(_map(graph, "head.input", x, 1))
    for stage in (1, 2):
        for block in (0, 1):
            name, stride = f"head.{stage}.{block}", 2 if block == 0 else 1
            inner = graph.relu(_map(graph, f"{name}.first", x, stride))
            side = _map(graph, f"{name}.shortcut", x, stride) if block == 0 else x
            total = graph.step("Add", [_map(graph, f"{name}.second", inner, 1), side], f"{name}.sum")
            x = graph.relu(total)
    return graph.relu(_map(graph, "head.out", x, 2))


def _map(graph, name, source, stride):
    weights = graph.layers[name].weights
    outputs, taps, _ = weights.shape
    weights = weights.reshape(outputs, taps, taps, -1).transpose(0, 3, 1, 2)
    pad = taps // 2
    return graph.conv(name, source, weights, strides=[stride, 1], pads=[pad] * 4)


def _tdnn(layer):
    outputs = len(layer.bias)
    by_time = layer.weights.reshape(outputs, -1, ROWS, CHANNELS)
    return by_time.transpose(0, 3, 2, 1).reshape(outputs, ROWS * CHANNELS, -1)


def _span(layer):
    return layer.weights.reshape(len(layer.bias), -1, 1)


def _segments(graph, x):
    """Segment of each position."""
    shape = graph.step("Shape", [x], "shape")
    count = graph.step("Gather", [shape, graph.constant("last", np.array(2, np.int64))], "positions")
    scalars = [graph.constant(f"scalar{value}", np.array(value, np.int64)) for value in (0, 1, reference.SEGMENT)]
    every = graph.step("Range", [scalars[0], count, scalars[1]], "every")
    return graph.step("Div", [every, scalars[2]], "segment")


def _dense_layer(graph, name, x, how):
    dilation, segments = how
    quiet = graph.norm(f"{name}.norm", x)
    squeezed = graph.relu(graph.conv(f"{name}.squeeze", quiet, _span(graph.layers[f"{name}.squeeze"])))
    local = graph.layers[f"{name}.local"]
    weights = local.weights.reshape(len(local.bias), 3, -1).transpose(0, 2, 1)
    grown = graph.conv(f"{name}.local", squeezed, weights, dilations=[dilation], pads=[dilation] * 2)
    length = [reference.SEGMENT]
    means = graph.step("AveragePool", [squeezed], f"{name}.means", kernel_shape=length, strides=length, ceil_mode=1)
    everything = graph.step("ReduceMean", [squeezed], f"{name}.everything", axes=[2], keepdims=1)
    context = graph.step("Add", [means, everything], f"{name}.context")
    hidden = graph.relu(graph.conv(f"{name}.context1", context, _span(graph.layers[f"{name}.context1"])))
    logits = graph.conv(f"{name}.context2", hidden, _span(graph.layers[f"{name}.context2"]))
    mask = graph.step("Sigmoid", [logits], f"{name}.sigmoid")
    mask = graph.step("Gather", [mask, segments], f"{name}.mask", axis=2)
    return graph.step("Mul", [grown, mask], f"{name}.masked")


def _end(graph, x):
    x = graph.norm("out.norm", x)
    mean = graph.step("ReduceMean", [x], "mean", axes=[2], keepdims=1)
    away = graph.step("Sub", [x, mean], "away")
    squares = graph.step("ReduceSumSquare", [away], "squares", axes=[2], keepdims=1)
    count = graph.step("Cast", ["positions"], "count", to=TensorProto.FLOAT)
    fewer = graph.step("Sub", [count, graph.constant("unit", np.array(1, np.float32))], "fewer")
    deviation = graph.step("Sqrt", [graph.step("Div", [squares, fewer], "variance")], "deviation")
    pooled = graph.step("Concat", [mean, deviation], "pooled", axis=1)
    dense = graph.conv("dense", pooled, _span(graph.layers["dense"]))
    flat = graph.constant("flat", np.array([1, -1], np.int64))
    graph.step("Reshape", [dense, flat], "embedding")


def _model(graph):
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, "frames", 80])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 192])
    body = helper.make_graph(graph.nodes, "campplus", [features], [embedding], list(graph.constants.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def int8(source, target, utterances):
    """Static quantisation of the convolutions per output channel, calibrated on features of real utterances.

    Quantising every node instead is no faster here and leaves nothing of the embedding (cosine about 0 to the float one); the
    last matrix stays float, as its inputs, means and deviations, differ too much for one step.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        """Hands out one utterance after the other."""

        def __init__(self):
            self.rest = iter(utterances)

        def get_next(self):
            """The next one, or nothing."""
            features = next(self.rest, None)
            return None if features is None else {"features": features[None]}

    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        Reader(),
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=["dense"],
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
