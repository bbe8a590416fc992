"""Exports PyTorch models as graphs without weights for tests/models/graphs.

    export_torch.py FOLDER [NAME]...    FOLDER/NAME.onnx.xz

Needs torch==2.9.1, onnxscript==0.7.2 and onnx of tests/kafka/requirements.txt, which
nothing here installs: torch is a gigabyte. Half of the models go through torch.export
(dynamo=True), half through TorchScript, PyTorch's older exporter.
"""

import math
import sys
import tempfile
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent))

import weightless  # noqa: E402

VOCABULARY = 2000


class Encoder(nn.Module):
    """A classifier of padded text."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
        self.embed = nn.Embedding(VOCABULARY, 64, padding_idx=0)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classes = nn.Linear(64, 5)

    def forward(self, ids):
        real = ids != 0
        places = torch.arange(ids.shape[1])[:, None] * torch.exp(
            torch.arange(0, 64, 2) * (-math.log(1e4) / 64))
        x = self.embed(ids) + torch.cat([places.sin(), places.cos()], -1)
        x = self.layers(x, src_key_padding_mask=~real)
        weights = real[..., None].float()
        return self.classes((x * weights).sum(1) / weights.sum(1).clamp(min=1))


class Decoder(nn.Module):
    """One block of a language model: RMS norm, turned heads of which two share keys, a
    causal attention, SwiGLU."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 64)
        self.norms = nn.ModuleList([nn.RMSNorm(64, eps=1e-6) for _ in range(3)])
        self.q, self.o = (nn.Linear(64, 64, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(64, 32, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(64, 128, bias=False) for _ in range(2))
        self.down = nn.Linear(128, 64, bias=False)

    def turn(self, x):
        angles = torch.arange(x.shape[2])[:, None] * 1e4 ** (-torch.arange(8) / 8)
        angles = torch.cat([angles, angles], -1)
        left, right = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-right, left], -1) * angles.sin()

    def heads(self, x, count):
        return x.view(x.shape[0], x.shape[1], count, 16).transpose(1, 2)

    def forward(self, ids):
        x = self.embed(ids)
        h = self.norms[0](x)
        q, k = self.turn(self.heads(self.q(h), 4)), self.turn(self.heads(self.k(h), 2))
        v = self.heads(self.v(h), 2)
        k, v = (t.repeat_interleave(2, 1) for t in (k, v))
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(h.transpose(1, 2).flatten(2))
        h = self.norms[1](x)
        x = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return self.norms[2](x) @ self.embed.weight.T


class Detector(nn.Module):
    """Boxes of images of any size, as YOLO decodes them."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.SiLU())
            for a, b in ((3, 16), (16, 32), (32, 64))])
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = nn.Conv2d(192, 32, 1)
        self.head = nn.Conv2d(64, 3 * 9, 1)

    def forward(self, image):
        a = self.stages[1](self.stages[0](image))
        b = self.stages[2](a)
        once = self.pool(b)
        b = self.join(torch.cat([b, once, self.pool(once)], 1))
        b = F.interpolate(b, size=a.shape[2:], mode="nearest")
        p = self.head(torch.cat([a, b], 1))
        rows, _, high, wide = p.shape
        p = p.view(rows, 3, 9, high, wide).permute(0, 1, 3, 4, 2).sigmoid()
        y, x = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
        corner = torch.stack((x, y), 2).float() - 0.5
        anchors = torch.tensor([[10.0, 13], [16, 30], [33, 23]]).view(1, 3, 1, 1, 2)
        centre, size = (p[..., :2] * 2 + corner) * 4, (p[..., 2:4] * 2) ** 2 * anchors
        return torch.cat((centre, size, p[..., 4:]), -1).view(rows, -1, 9)


class Table(nn.Module):
    """Columns chosen step by step with sparse weights, as TabNet does."""

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm1d(20)
        self.steps = nn.ModuleList([
            nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.GLU()) for _ in range(3)])
        self.masks = nn.ModuleList([
            nn.Sequential(nn.Linear(8, 20), nn.BatchNorm1d(20)) for _ in range(3)])
        self.out = nn.Linear(8, 3)

    @staticmethod
    def sparsemax(z):
        order = torch.sort(z, dim=-1, descending=True)[0]
        count = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype)
        sums = order.cumsum(-1) - 1
        support = (count * order > sums).sum(-1, keepdim=True)
        return torch.clamp(z - sums.gather(-1, support - 1) / support.to(z.dtype), min=0)

    def forward(self, columns):
        x = self.first(columns)
        prior, h, y = torch.ones_like(x), self.steps[0](x)[:, 8:], 0
        for step, mask in zip(self.steps, self.masks):
            chosen = self.sparsemax(mask(h) * prior)
            prior = prior * (1.3 - chosen)
            t = step(chosen * x)
            y, h = y + F.relu(t[:, :8]), t[:, 8:]
        return self.out(y)


def ids():
    return torch.randint(1, VOCABULARY, (2, 12))


# name: model, an input, its free dimensions, whether by torch.export
MODELS = {
    "torch_encoder": (Encoder, ids, {0: "batch", 1: "words"}, True),
    "torch_decoder": (Decoder, ids, {0: "batch", 1: "words"}, True),
    "torch_detector": (Detector, lambda: torch.rand(2, 3, 64, 96),
                       {0: "batch", 2: "high", 3: "wide"}, False),
    "torch_table": (Table, lambda: torch.randn(2, 20), {0: "batch"}, False),
}


def settle(model):
    """Statistics and scales that are not 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    for name, weight in model.named_parameters():
        if weight.dim() == 1 and "norm" in name:
            nn.init.uniform_(weight, 0.5, 1.5)
    return model.eval()


def export(name, path):
    make, sample, free, dynamo = MODELS[name]
    torch.manual_seed(1)
    model, args = settle(make()), (sample(),)
    if dynamo:
        torch.onnx.export(model, args, path, dynamo=True, input_names=["x"],
                          output_names=["y"], dynamic_shapes=(free,), external_data=False)
    else:
        torch.onnx.export(model, args, path, dynamo=False, opset_version=17,
                          input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": free, "y": {0: "batch"}})


def bare(model):
    """Without what the exporters note of this machine and their sources."""
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    return model


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or MODELS:
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            export(name, file.name)
            model = bare(onnx.load(file.name))
        weightless.strip(model)
        weightless.write_graph(model, folder / f"{name}.onnx.xz")
        print(f"{name}: exported", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
