"""Models of the suite in 8 bits, as onnxruntime.quantization writes them.

    qdq          activations between QuantizeLinear and DequantizeLinear, its default
    qoperator    QLinearConv, QLinearMatMul and their kin
    dynamic      weights alone; activations are quantised as they come

Activations are unsigned and weights signed, with a scale for each output channel where
they are static, calibrated with the suite's own inputs.
"""

import logging
from pathlib import Path

MODES = ("qdq", "qoperator", "dynamic")


def test_data(folder):
    """Each test_data_set_N of the folder: a tensor for each input."""
    from onnx import TensorProto, numpy_helper

    for data in sorted(folder.glob("test_data_set_*")):
        files = sorted(data.glob("input_*.pb"), key=lambda file: int(file.stem[6:]))
        yield [numpy_helper.to_array(TensorProto.FromString(file.read_bytes()))
               for file in files]


def reader(graph, batches):
    """Batches, each a list of tensors, as the calibration wants them: by inputs' names."""
    from onnxruntime.quantization import CalibrationDataReader

    constants = {tensor.name for tensor in graph.initializer}
    names = [port.name for port in graph.input if port.name not in constants]

    class Reader(CalibrationDataReader):
        left = iter(batches)

        def get_next(self):
            tensors = next(self.left, None)
            return None if tensors is None else dict(zip(names, tensors))

    return Reader()


def write_static(source, target, mode, batches):
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(target), reader(onnx.load(prepared).graph, batches),
        quant_format=QuantFormat.QDQ if mode == "qdq" else QuantFormat.QOperator,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
    prepared.unlink()


def quantized(models, name, mode):
    """build/models/NAME_MODE/model.onnx, made where it is missing."""
    source = Path(models) / name / "model.onnx"
    target = Path(models) / f"{name}_{mode}" / "model.onnx"
    if target.exists():
        return target
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)
    fresh = target.with_name("fresh.onnx")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    if mode == "dynamic":
        quantize_dynamic(str(source), str(fresh), weight_type=QuantType.QInt8)
    else:
        write_static(source, fresh, mode, test_data(source.parent))
    return fresh.rename(target)
