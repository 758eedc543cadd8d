// Rings of frames: what the layers read, one frame (clips, pitch) a slot, padded with zeros.
#pragma once

#include "matrix.h"
#include "team.h"

// A frame as 16-bit integers in two bytes, for products with int8 weights; every thread keeps its own copy, which is
// quicker than to wait for another's.
class Quantized {
  public:
    Quantized() = default;
    Quantized(int frames, int pitch) : pitch(pitch), high(frames * pitch), low(frames * pitch), scale(frames) {}

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
            std::memcpy(high + index * pitch + i, &highs, 16);
            std::memcpy(low + index * pitch + i, &lows, 16);
        }
    }

    Input input(int index, const float* x) const {
        return {x, high + index * pitch, low + index * pitch, scale[index]};
    }

  private:
    int pitch = 0;
    Buffer<uint8_t> high, low;
    Buffer<float> scale;
};

class Ring {
  public:
    Ring() = default;
    // `slots` is a power of two
    Ring(int slots, int clips, int pitch, int threads, bool quantize)
        : slots(slots), clips(clips), pitch(pitch), values((size_t)slots * clips * pitch) {
        for (int thread = 0; quantize && thread < threads; ++thread) quantized.emplace_back(slots * clips, pitch);
    }

    float* frame(int64_t time, int clip) const { return values + (size_t)index(time, clip) * pitch; }

    // A thread calls this for each new frame, once all have written their part of it.
    void take(int thread, int64_t time) {
        if (quantized.empty()) return;
        for (int clip = 0; clip < clips; ++clip) quantized[thread].put(index(time, clip), frame(time, clip));
    }

    Input input(int thread, int64_t time, int clip) const {
        if (quantized.empty()) return {frame(time, clip), nullptr, nullptr, 0};
        return quantized[thread].input(index(time, clip), frame(time, clip));
    }

    // Frames from a tensor (clips, stride, frames), of which this ring holds the channels from `first` on; the last frame is `time`.
    void read(const float* from, int stride, int first, int channels, int frames, int64_t time) {
        for (int clip = 0; clip < clips; ++clip)
            for (int c = 0; c < channels; ++c)
                for (int k = 0; k < frames; ++k)
                    frame(time - frames + 1 + k, clip)[c] = from[((size_t)clip * stride + first + c) * frames + k];
        for (int thread = 0; thread < (int)quantized.size(); ++thread)
            for (int k = 0; k < frames; ++k) take(thread, time - k);
    }

    void write(float* to, int stride, int first, int channels, int frames, int64_t time) const {
        for (int clip = 0; clip < clips; ++clip)
            for (int c = 0; c < channels; ++c)
                for (int k = 0; k < frames; ++k)
                    to[((size_t)clip * stride + first + c) * frames + k] = frame(time - frames + 1 + k, clip)[c];
    }

  private:
    int index(int64_t time, int clip) const { return (int)(time & (slots - 1)) * clips + clip; }

    int slots = 0, clips = 0, pitch = 0;
    Buffer<float> values;
    std::vector<Quantized> quantized;
};
