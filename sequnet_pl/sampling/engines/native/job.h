// What both networks have in common: what is asked of a block, drawing, and layers of matrices.
#pragma once

#include "draw.h"
#include "frames.h"

struct Job {
    float* logits;          // (clips, 256) of the next code; left as those of the code after the block
    const double* uniform;  // (clips, samples)
    uint8_t* codes;         // (clips, samples), drawn here
    float* nats;            // (clips, samples)
    float* const* state;    // the tensors of the state, updated
    int64_t time;           // of the state, 0 or more (a whole number of cycles may be added)
    int32_t clips, samples, threads;
    Drawing drawing;
};

// The share of `count` that a thread does.
struct Share {
    int begin, end;
    Share(int count, int thread, int threads) : begin(count * thread / threads), end(count * (thread + 1) / threads) {}
};

inline void draw_codes(const Job& job, int thread, int sample) {
    const Share clips(job.clips, thread, job.threads);
    for (int clip = clips.begin; clip < clips.end; ++clip) {
        const size_t at = (size_t)clip * job.samples + sample;
        job.codes[at] = draw(job.logits + clip * CLASSES, job.uniform[at], job.drawing, job.nats + at);
    }
}

// Column sums that start from a bias, (clips, pitch).
inline void start_sums(float* sums, const float* bias, const Matrix& m, int clips, int thread, int threads) {
    const Share panels(m.panels, thread, threads);
    const int from = panels.begin * m.width * LANES, to = panels.end * m.width * LANES;
    for (int clip = 0; clip < clips; ++clip)
        std::copy(bias + from, bias + to, sums + (size_t)clip * m.pitch() + from);
}

// Call use(channel, tanh(filter) * sigmoid(gate)) for each vector of channels of the thread's panels.
template <class Use>
inline void gate_panels(const float* sums, const Matrix& m, int thread, int threads, const Use& use) {
    const Share panels(m.panels, thread, threads);
    const int half = m.width / 2;
    for (int panel = panels.begin; panel < panels.end; ++panel)
        for (int k = 0; k < half; ++k) {
            const float* at = sums + (panel * m.width + k) * LANES;
            use((panel * half + k) * LANES, gated(load(at), load(at + half * LANES)));
        }
}
