// Vectors of 16 numbers, which the compiler maps to whatever the processor has, and the functions computed on them.
// Not-a-number stays not-a-number everywhere: the caller is to see that a network is broken.
#pragma once

#include <cstdint>
#include <cstring>

constexpr int LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef double Doubles __attribute__((vector_size(64)));
typedef int64_t Longs __attribute__((vector_size(64)));

inline Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

inline void store(float* to, Floats x) { std::memcpy(to, &x, sizeof x); }

inline Floats relu(Floats x) { return x < 0 ? Floats{} : x; }

// exp to 2 units in the last place, from -87 to 87; beyond that it stays at its ends.
inline Floats exponential(Floats x) {
    const Floats most = Floats{} + 87.0f, rounder = Floats{} + 12582912.0f;  // 1.5 * 2^23 rounds to whole numbers
    x = x > most ? most : x;
    x = x < -most ? -most : x;
    const Floats shifted = x * 1.44269504f + rounder, whole = shifted - rounder;
    const Floats r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // log(2) in two parts
    Floats p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (Floats)((Ints)p + (((Ints)shifted - (Ints)rounder) << 23));
}

// tanh(filter) * sigmoid(gate), with one division.
inline Floats gated(Floats filter, Floats gate) {
    const Floats size = filter < 0 ? -filter : filter;
    const Floats e = exponential(size * -2.0f);
    const Floats y = (1.0f - e) / ((1.0f + e) * (1.0f + exponential(-gate)));
    return filter < 0 ? -y : y;
}

// exp of numbers of at most 0 to double precision; 0 below -700.
inline Doubles exponential(Doubles x) {
    const Doubles rounder = Doubles{} + 6755399441055744.0, least = Doubles{} - 700.0;  // 1.5 * 2^52
    const Doubles clamped = x < least ? least : x;
    const Doubles shifted = clamped * 1.4426950408889634 + rounder, whole = shifted - rounder;
    const Doubles r = (clamped - whole * 0.693145751953125) - whole * 1.42860682030941723212e-6;
    Doubles p = Doubles{} + 1.0 / 6227020800.0;  // 13!
    const double taylor[] = {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0};
    for (double factorial : taylor) p = p * r + 1.0 / factorial;
    const Doubles y = (Doubles)((Longs)p + (((Longs)shifted - (Longs)rounder) << 52));
    return x < least ? Doubles{} : y;
}
