// Rings of frames: what operations read, one frame (clips, pitch) a slot, padded with zeros.
#pragma once

#include <cmath>

#include "matrix.h"
#include "team.h"

// A frame as 16-bit integers in two bytes, for products with int8 weights; every thread keeps its own copy, which is
// quicker than to wait for another's.
class Quantized {
  public:
    Quantized(int frames, int pitch)
        : pitch(pitch), high((size_t)frames * pitch), low((size_t)frames * pitch), scale(frames) {}

    void put(int index, const float* x) {
        Floats most = {}, sum = {};
        for (int i = 0; i < pitch; i += LANES) {
            const Floats v = load(x + i), size = v < 0 ? -v : v;
            most = size > most ? size : most;
            sum += v - v;  // not a number where v is none
        }
        float top = 0, broken = 0;
        for (int i = 0; i < LANES; ++i) top = std::max(top, most[i]), broken += sum[i];
        scale[index] = top / 32512.0f + broken;
        const float inverse = top > 0 ? 32512.0f / top : 0.0f;
        for (int i = 0; i < pitch; i += LANES) {
            Floats v = load(x + i) * inverse;
            v = v != v ? Floats{} : v;
            const Ints offset = __builtin_convertvector(v + 32768.5f, Ints);
            typedef uint8_t Bytes __attribute__((vector_size(16)));
            const Bytes highs = __builtin_convertvector(offset >> 8, Bytes);
            const Bytes lows = __builtin_convertvector(offset & 255, Bytes);
            std::memcpy(high + (size_t)index * pitch + i, &highs, 16);
            std::memcpy(low + (size_t)index * pitch + i, &lows, 16);
        }
    }

    Input input(int index, const float* x) const {
        return {x, high + (size_t)index * pitch, low + (size_t)index * pitch, scale[index]};
    }

  private:
    int pitch;
    Buffer<uint8_t> high, low;
    Buffer<float> scale;
};

struct RingRow {  // made by native.py
    int32_t slots, pitch, channels, shift;
    int32_t norm, relu;  // norm: 0 none, 1 of the root mean square, 2 LayerNorm
};

// Frames as they are written, and what is read of them: the same, or each thread's own copy, normed or rectified.
class Ring {
  public:
    // norm: weight, bias and epsilon of a LayerNorm, (3, pitch)
    Ring(const RingRow& row, const float* norm, int clips, int threads, bool quantize)
        : shift(row.shift), row(row), weights(norm), clips(clips), mask(row.slots & (row.slots - 1) ? 0 : row.slots - 1) {
        const size_t size = (size_t)row.slots * clips * row.pitch;
        values = Buffer<float>(size);
        for (int thread = 0; thread < threads; ++thread) {
            if (row.norm || row.relu) copies.emplace_back(size);
            reads.push_back(copies.empty() ? values : copies.back());
            if (quantize) quantized.emplace_back(row.slots * clips, row.pitch);
        }
    }

    float* frame(int64_t time, int clip) const { return values + (size_t)index(time, clip) * row.pitch; }

    // A thread calls this for each new frame, once all have written their part of it.
    void publish(int thread, int64_t time) {
        for (int clip = 0; clip < clips; ++clip) {
            if (row.norm == 1) norm(frame(time, clip), read(thread, time, clip));
            if (row.norm == 2) layer_norm(frame(time, clip), read(thread, time, clip));
        }
        if (row.relu)
            for (int clip = 0; clip < clips; ++clip) {
                const float* from = row.norm ? read(thread, time, clip) : frame(time, clip);
                for (int i = 0; i < row.pitch; i += LANES) store(read(thread, time, clip) + i, relu(load(from + i)));
            }
        quantize(thread, time);
    }

    Input input(int thread, int64_t time, int clip) const {
        if (quantized.empty()) return {read(thread, time, clip), nullptr, nullptr, 0};
        return quantized[thread].input(index(time, clip), read(thread, time, clip));
    }

    // Whether all threads read the same numbers.
    bool is_shared() const { return copies.empty() && quantized.empty(); }

    // A frame that a state holds: as it was given, or as it is read.
    float* held(int thread, int64_t time, int clip, bool raw) const {
        return raw ? frame(time, clip) : read(thread, time, clip);
    }

    void quantize(int thread, int64_t time) {
        for (int clip = 0; !quantized.empty() && clip < clips; ++clip)
            quantized[thread].put(index(time, clip), read(thread, time, clip));
    }

    const int shift;

  private:
    int index(int64_t time, int clip) const { return (int)(mask ? time & mask : time % row.slots) * clips + clip; }

    float* read(int thread, int64_t time, int clip) const {
        return reads[thread] + (size_t)index(time, clip) * row.pitch;
    }

    // to = from / sqrt(mean of squares + 1e-6), the mean over the channels that are not padding.
    void norm(const float* from, float* to) const {
        Floats squares = {};
        for (int i = 0; i < row.pitch; i += LANES) squares += load(from + i) * load(from + i);
        const float scale = 1 / std::sqrt(sum(squares) / row.channels + 1e-6f);
        for (int i = 0; i < row.pitch; i += LANES) store(to + i, load(from + i) * scale);
    }

    void layer_norm(const float* from, float* to) const {
        Floats total = {}, squares = {};
        for (int i = 0; i < row.pitch; i += LANES) total += load(from + i);
        const Floats mean = everywhere(sum(total) / row.channels);
        for (int i = 0; i < row.pitch; i += LANES) {
            const Floats x = load(from + i) - mean;
            squares += LANE < row.channels - i ? x * x : Floats{};
        }
        const float scale = 1 / std::sqrt(sum(squares) / row.channels + weights[2 * row.pitch]);
        for (int i = 0; i < row.pitch; i += LANES)
            store(to + i, (load(from + i) - mean) * scale * load(weights + i) + load(weights + row.pitch + i));
    }

    static float sum(Floats x) {
        for (int half = LANES / 2; half; half /= 2)
            for (int i = 0; i < half; ++i) x[i] += x[i + half];
        return x[0];
    }

    RingRow row;
    const float* weights;
    int clips, mask;  // mask: of the slots where they are a power of two, which is quicker than a division
    Buffer<float> values;
    std::vector<Buffer<float>> copies;  // by thread
    std::vector<float*> reads;          // by thread: one of these, or the values
    std::vector<Quantized> quantized;   // by thread
};
