// Products of packed matrices with frames: each weight is read once for up to four columns (clips, or frames of a clip).
//
// A matrix is cut into panels of `width` vectors of outputs. In memory a panel runs over its inputs, and the sums of a
// panel stay in registers. The order of additions into a sum depends on nothing but the matrix, so that results are
// the same bits at any number of clips, threads and columns.
#pragma once

#include <algorithm>

#ifdef __AVX512VNNI__
#include <immintrin.h>
#endif

#include "vectors.h"

enum Format { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };

struct Matrix {         // packed by packing.py
    const void* weights;  // by panel: (inputs / g, width, 16, g), with g = 1 (float32), 2 (bfloat16) or 4 (int8)
    const float* scales;  // by output, of int8
    const int32_t* zeros;  // by output, -128 times the sum of its int8 weights: takes the offset of the inputs out again
    int32_t inputs;        // padded to a multiple of g
    int32_t panels;
    int32_t width;  // 2, 4 or 6
    int32_t format;

    int pitch() const { return panels * width * LANES; }
};

// What a matrix is multiplied with. Under int8 weights, values = scale * (256 * (high - 128) + low).
struct Input {
    const float* values;
    const uint8_t *high, *low;
    float scale;
};

struct Column {
    Input x;
    float* sums;  // of all panels, added to
};

// Keeps the compiler from reading the same weights from memory again for each column.
inline Floats in_register(Floats x) {
#ifdef __AVX512F__
    asm("" : "+v"(x));
#endif
    return x;
}

template <int W, int N>
inline void tile_float32(const Matrix& m, int panel, int begin, int end, const Column* columns) {
    const Floats* w = (const Floats*)m.weights + ((size_t)panel * m.inputs + begin) * W;
    Floats sums[N][W];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) sums[n][k] = load(columns[n].sums + (panel * W + k) * LANES);
    for (int i = begin; i < end; ++i, w += W) {
        Floats weights[W];
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) weights[k] = in_register(w[k]);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
            const float x = columns[n].x.values[i];
#pragma GCC unroll 8
            for (int k = 0; k < W; ++k) sums[n][k] += weights[k] * x;
        }
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) store(columns[n].sums + (panel * W + k) * LANES, sums[n][k]);
}

template <int W, int N>
inline void tile_bfloat16(const Matrix& m, int panel, int begin, int end, const Column* columns) {
    const Words* w = (const Words*)m.weights + ((size_t)panel * m.inputs + begin) / 2 * W;
    Floats sums[N][W];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) sums[n][k] = load(columns[n].sums + (panel * W + k) * LANES);
    for (int i = begin; i < end; i += 2, w += W)
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j)
#pragma GCC unroll 8
            for (int k = 0; k < W; ++k) {
                const Floats weight = in_register((Floats)(j ? w[k] & 0xffff0000u : w[k] << 16));
#pragma GCC unroll 8
                for (int n = 0; n < N; ++n) sums[n][k] += weight * columns[n].x.values[i + j];
            }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) store(columns[n].sums + (panel * W + k) * LANES, sums[n][k]);
}

#ifdef __AVX512VNNI__
constexpr bool QUANTIZE_INPUTS = true;

template <int W, int N>
inline void tile_int8(const Matrix& m, int panel, const Column* columns) {
    const __m512i* w = (const __m512i*)m.weights + (size_t)panel * m.inputs / 4 * W;
    const __m512i* zeros = (const __m512i*)m.zeros + panel * W;
    __m512i high[N][W], low[N][W];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) high[n][k] = zeros[k], low[n][k] = _mm512_setzero_si512();
    for (int i = 0; i < m.inputs; i += 4, w += W)
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
            int32_t four;
            std::memcpy(&four, columns[n].x.high + i, 4);
            const __m512i highs = _mm512_set1_epi32(four);
            std::memcpy(&four, columns[n].x.low + i, 4);
            const __m512i lows = _mm512_set1_epi32(four);
#pragma GCC unroll 8
            for (int k = 0; k < W; ++k) {
                high[n][k] = _mm512_dpbusd_epi32(high[n][k], highs, w[k]);
                low[n][k] = _mm512_dpbusd_epi32(low[n][k], lows, w[k]);
            }
        }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) {
            float* sums = columns[n].sums + (panel * W + k) * LANES;
            const Floats whole = __builtin_convertvector((Ints)high[n][k], Floats) * 256.0f +
                                 __builtin_convertvector((Ints)low[n][k], Floats);
            store(sums, load(sums) + load(m.scales + (panel * W + k) * LANES) * (whole * columns[n].x.scale));
        }
}
#else
constexpr bool QUANTIZE_INPUTS = false;

template <int W, int N>
inline void tile_int8(const Matrix& m, int panel, const Column* columns) {
    const Ints* w = (const Ints*)m.weights + (size_t)panel * m.inputs / 4 * W;
    Floats sums[N][W] = {};
    for (int i = 0; i < m.inputs; i += 4, w += W)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k)
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
                const Floats weight = __builtin_convertvector((w[k] << (24 - 8 * j)) >> 24, Floats);
#pragma GCC unroll 8
                for (int n = 0; n < N; ++n) sums[n][k] += weight * columns[n].x.values[i + j];
            }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) {
            float* to = columns[n].sums + (panel * W + k) * LANES;
            store(to, load(to) + load(m.scales + (panel * W + k) * LANES) * sums[n][k]);
        }
}
#endif

template <int W, int N>
inline void tile(const Matrix& m, int panel, int begin, int end, const Column* columns) {
    if (m.format == FLOAT32) tile_float32<W, N>(m, panel, begin, end, columns);
    if (m.format == BFLOAT16) tile_bfloat16<W, N>(m, panel, begin, end, columns);
    if (m.format == INT8) tile_int8<W, N>(m, panel, columns);  // all of the inputs, whose bytes are few
}

template <int W>
inline void panel_product(const Matrix& m, int panel, const Column* columns, int count) {
    const int most = m.format == INT8 && QUANTIZE_INPUTS ? 2 : 4;                // what fits the registers
    const int block = m.format == FLOAT32 ? 64 : m.format == BFLOAT16 ? 128 : m.inputs;  // what fits the nearest cache
    for (int begin = 0; begin < m.inputs; begin += block) {
        const int end = std::min(begin + block, m.inputs);
        int n = 0;
        for (; most == 4 && n + 4 <= count; n += 4) tile<W, 4>(m, panel, begin, end, columns + n);
        for (; n + 2 <= count; n += 2) tile<W, 2>(m, panel, begin, end, columns + n);
        if (n < count) tile<W, 1>(m, panel, begin, end, columns + n);
    }
}

// Add the product of one panel with each column to the column's sums.
inline void add_product(const Matrix& m, int panel, const Column* columns, int count) {
    if (m.width == 6) panel_product<6>(m, panel, columns, count);
    if (m.width == 4) panel_product<4>(m, panel, columns, count);
    if (m.width == 2) panel_product<2>(m, panel, columns, count);
}
