// Rings of frames: what the layers read, one frame (clips, pitch) a slot, padded with zeros.
#pragma once

#include <cmath>

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

// A tensor (clips, stride, frames) of a state, of which a ring holds `channels` from the `first` on.
struct Part {
    float* numbers;
    int stride, first, channels, frames;
    bool raw;  // frames as they are, also under a norm
};

// to = from / sqrt(mean of squares + 1e-6), the mean over the channels that are not padding.
inline void normalise(const float* from, int channels, int pitch, float* to) {
    Floats squares = {};
    for (int i = 0; i < pitch; i += LANES) squares += load(from + i) * load(from + i);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) squares[i] += squares[i + half];
    const float scale = 1 / std::sqrt(squares[0] / channels + 1e-6f);
    for (int i = 0; i < pitch; i += LANES) store(to + i, load(from + i) * scale);
}

// Under a norm, frames are written as they are, and each thread keeps its own copy of what layers read of them.
class Ring {
  public:
    Ring() = default;
    // `slots` is a power of two; `normed`: channels of the norm, 0 for none
    Ring(int slots, int clips, int pitch, int threads, bool quantize, int normed = 0)
        : slots(slots), clips(clips), pitch(pitch), channels(normed), values((size_t)slots * clips * pitch) {
        for (int thread = 0; normed && thread < threads; ++thread) copies.emplace_back((size_t)slots * clips * pitch);
        for (int thread = 0; thread < threads; ++thread) reads.push_back(normed ? copies[thread] : values);
        for (int thread = 0; quantize && thread < threads; ++thread) quantized.emplace_back(slots * clips, pitch);
    }

    float* frame(int64_t time, int clip) const { return values + (size_t)index(time, clip) * pitch; }

    // What layers read of a frame.
    float* read(int thread, int64_t time, int clip) const { return reads[thread] + (size_t)index(time, clip) * pitch; }

    // A thread calls this for each new frame, once all have written their part of it.
    void take(int thread, int64_t time) {
        for (int clip = 0; channels && clip < clips; ++clip)
            normalise(frame(time, clip), channels, pitch, read(thread, time, clip));
        quantize(thread, time);
    }

    Input input(int thread, int64_t time, int clip) const {
        if (quantized.empty()) return {read(thread, time, clip), nullptr, nullptr, 0};
        return quantized[thread].input(index(time, clip), read(thread, time, clip));
    }

    // Take over frames from a part of a state, of which the last is `time`.
    void take_over(const Part& part, int64_t time) {
        for (int thread = 0; thread < (int)reads.size(); ++thread) {
            each_number(part, time, thread, [](float& own, float& state) { own = state; });
            for (int k = 0; k < part.frames; ++k) part.raw ? take(thread, time - k) : quantize(thread, time - k);
        }
    }

    void hand_over(const Part& part, int64_t time) const {
        each_number(part, time, 0, [](float& own, float& state) { state = own; });
    }

  private:
    int index(int64_t time, int clip) const { return (int)(time & (slots - 1)) * clips + clip; }

    void quantize(int thread, int64_t time) {
        for (int clip = 0; !quantized.empty() && clip < clips; ++clip)
            quantized[thread].put(index(time, clip), read(thread, time, clip));
    }

    template <class Visit>  // visit(number in this ring, number in the state)
    void each_number(const Part& part, int64_t time, int thread, const Visit& visit) const {
        for (int clip = 0; clip < clips; ++clip)
            for (int k = 0; k < part.frames; ++k) {
                const int64_t then = time - part.frames + 1 + k;
                float* own = part.raw ? frame(then, clip) : read(thread, then, clip);
                for (int c = 0; c < part.channels; ++c)
                    visit(own[c], part.numbers[((size_t)clip * part.stride + part.first + c) * part.frames + k]);
            }
    }

    int slots = 0, clips = 0, pitch = 0, channels = 0;
    Buffer<float> values;
    std::vector<Buffer<float>> copies;  // by thread, under a norm
    std::vector<float*> reads;          // by thread: one of these
    std::vector<Quantized> quantized;   // by thread
};
