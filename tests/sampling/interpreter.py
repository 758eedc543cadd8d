"""The kernel that stays on the GPU, in plain Python: it follows the same tables, with the same packets and places."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sequnet_pl.sampling.draw import SamplingParams, draw
from sequnet_pl.sampling.engines.layout import Layout, Limits, OperationRow, SegmentRow, TargetRow


class Interpreter:
    """See Processor."""

    def __init__(self, shared: int = 200_000) -> None:
        self.limits = Limits(blocks=4, shared=shared)

    def load(self, layout: Layout):
        return lambda job: Run(layout, job).run()


class Run:
    """A launch. One block does all: it owns every channel."""

    def __init__(self, layout: Layout, job: Mapping[str, Tensor | float]) -> None:
        self.job, self.width, self.normed = job, layout.constants["WIDTH"], layout.constants["NORM"]
        self.table = job["table"].tolist()
        self.weights = job["weights"].float().view(-1, layout.chunk)
        self.values, self.indices = job["packets"][:, 0].view(torch.float32), job["packets"][:, 1]
        self.frames = torch.zeros(job["frames_size"])

    def row(self, kind, name, number):
        size = len(kind._fields)
        begin = self.job[name] + number * size
        return kind(*self.table[begin : begin + size])

    def place(self, segment, time):
        begin = segment.shared + ((time >> segment.shift) - segment.back & segment.kept) * self.width
        return slice(begin, begin + self.width)

    def fetch(self, numbers, time):
        for number in numbers:
            segment = self.row(SegmentRow, "segments", number)
            index = (time >> segment.shift) - segment.back
            begin = segment.packets + (index & segment.mask) * self.width
            packets = slice(begin, begin + segment.width)
            assert (self.indices[packets] == index).all(), "this frame never comes"
            frame = self.frames[self.place(segment, time)]
            frame.zero_()
            frame[: segment.width] = self.values[packets]

    def norm(self, segments, time):
        """Those in their places, and what they were before."""
        raw = [self.frames[self.place(segment, time)].clone() for segment in segments]
        for segment, frame in zip(segments, raw, strict=True):
            normed = frame * torch.rsqrt(frame.square().sum() / self.job["channels"] + 1e-6)
            self.frames[self.place(segment, time)] = normed
            index = time >> segment.shift
            self.send(segment.packets, segment.mask, index, normed[: segment.width], again=True)
        return raw

    def send(self, packets, mask, index, frame, again=False):
        begin = packets + (index & mask) * self.width
        before = self.indices[begin : begin + len(frame)]
        assert (before < index + again).all(), "this frame is there already"
        self.values[begin : begin + len(frame)] = frame
        self.indices[begin : begin + len(frame)] = index

    def operate(self, op, time):
        self.fetch(self.table[op.fetches : op.fetches + op.fetch_count], time)
        segments = [
            self.row(SegmentRow, "segments", op.segments + index)
            for index in range(op.chunks * self.weights.shape[1] // self.width)
        ]
        raw = self.norm(segments[: op.fresh], time)
        inputs = torch.cat([self.frames[self.place(segment, time)] for segment in segments])
        if op.relu_first:
            inputs[: self.width].relu_()
        target, outputs = op.targets, op.outputs
        while outputs > 0:
            to = self.row(TargetRow, "targets", target)
            rows = to.width * (1 + to.gated)
            weight = self.weights[to.weights : to.weights + rows * op.chunks].view(rows, -1)
            frame = weight @ inputs + self.job["biases"][to.bias : to.bias + rows]
            if to.gated:
                frame = torch.tanh(frame[::2]) * torch.sigmoid(frame[1::2])
            if op.identity >= 0:
                identity = raw[op.identity] if raw else self.frames[self.place(segments[op.identity], time)]
                frame = frame + identity[: to.width]
            frame = torch.relu(frame) if op.relu else frame
            self.send(to.packets, to.mask, (time >> to.shift) + to.ahead, frame)
            target, outputs = target + 1, outputs - to.share
        assert outputs == 0

    def run(self):
        job = self.job
        time, codes = job["time"], job["history"][: job["kernel"]].tolist()
        params = SamplingParams(job["temperature"], job["top_k"], job["top_p"])
        self.fetch(self.table[job["fills"] : job["fills"] + job["fill_count"]], time)
        entry = self.row(SegmentRow, "segments", job["input"])
        for sample in range(job["samples"]):
            time += 1
            logits = job["logits"][sample]
            codes.append(int(draw(logits.unsqueeze(0), job["uniform"][sample : sample + 1], params)))
            job["codes"][sample] = codes[-1]
            frame = job["lookup_bias"] + sum(job["lookup"][k, code] for k, code in enumerate(codes[-job["kernel"] :]))
            self.frames[self.place(entry, time)][: len(frame)] = frame
            if not self.normed:
                self.send(entry.packets, entry.mask, time, frame)
            pattern = min((time & -time).bit_length(), job["pattern_count"]) - 1
            begin, end = self.table[job["patterns"] + pattern : job["patterns"] + pattern + 2]
            for number in self.table[job["order"] + begin : job["order"] + end]:
                op = self.row(OperationRow, "operations", number)
                self.operate(op, time)
            to, found = op.targets, []
            while sum(map(len, found)) < 256:
                part = self.row(TargetRow, "targets", to)
                begin = part.packets + (time & part.mask) * self.width
                found.append(self.values[begin : begin + part.width])
                to += 1
            job["logits"][sample + 1] = torch.cat(found)
