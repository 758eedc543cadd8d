// The WaveNet's whole loop for a block: draw, step, feed back. It works on the rings of the state where they are.
#pragma once

#include "job.h"

struct WaveNet {             // made by wavenet.py
    const Matrix* matrices;  // by layer: the taps, oldest first, skip, residual (the last layer has none); then the end
    const float* const* biases;  // by layer: gates, residual; then the sum of all skips', the end
    const float* table;          // (256, pitch)
    const int32_t* dilations;
    int32_t layers, kernel, residual_channels, pitch;
};

class WaveNetProgram {
  public:
    WaveNetProgram(const WaveNet& net, const Job& job) : net(net), job(job), team(job.threads) {
        const Matrix* matrix = net.matrices;
        const float* const* bias = net.biases;
        for (int i = 0; i < net.layers; ++i) {
            Layer layer{matrix, matrix + net.kernel, nullptr, *bias++, nullptr, job.state[i], net.dilations[i]};
            matrix += net.kernel + 1;
            if (i < net.layers - 1) layer.residual = matrix++, layer.residual_bias = *bias++;
            layers.push_back(layer);
        }
        end_1 = matrix, end_2 = matrix + 1;
        skip_bias = bias[0], end_1_bias = bias[1], end_2_bias = bias[2];
        sums = Rows(job.clips, layers[0].taps->pitch());
        z = Rows(job.clips, layers[0].taps->pitch() / 2);
        skip = Rows(job.clips, layers[0].skip->pitch());
        hidden = Rows(job.clips, end_1->pitch());
        for (Rows& x : stream) x = Rows(job.clips, net.pitch);
        const bool quantize = QUANTIZE_INPUTS && matrix->format == INT8;
        const auto room = [&](int width) { return Ring(1, job.clips, width, 1, quantize); };
        for (int thread = 0; thread < job.threads; ++thread)
            scratch.push_back({room(net.pitch), room(z.pitch), room(skip.pitch), room(hidden.pitch), {}});
        for (Scratch& mine : scratch) mine.columns.resize(job.clips);
    }

    void run() {
        team.run([this](int thread) {
            for (int sample = 0; sample < job.samples; ++sample) {
                draw_codes(job, thread, sample);
                team.meet();
                step(thread, job.time + 1 + sample, sample);
            }
        });
    }

  private:
    struct Layer {
        const Matrix *taps, *skip, *residual;
        const float *bias, *residual_bias;
        float* ring;  // (clips, length, residual channels); the frame of time t lies in slot t mod length
        int64_t dilation;
    };

    struct Rows {  // one a clip
        Rows() = default;
        Rows(int clips, int pitch) : pitch(pitch), values((size_t)clips * pitch) {}
        float* operator[](int clip) const { return values + (size_t)clip * pitch; }
        int pitch = 0;
        Buffer<float> values;
    };

    struct Scratch {  // a thread's own copies of what it multiplies
        Ring residual, z, skip, hidden;
        std::vector<Column> columns;
    };

    template <class From>  // from(clip) is a frame of `channels`; the padding stays zero
    void copy(Ring& ring, int channels, const From& from) const {
        for (int clip = 0; clip < job.clips; ++clip) std::copy_n(from(clip), channels, ring.frame(0, clip));
        ring.take(0, 0);
    }

    void copy_rectified(Ring& ring, const Rows& rows) const {
        for (int clip = 0; clip < job.clips; ++clip)
            for (int c = 0; c < rows.pitch; c += LANES) store(ring.frame(0, clip) + c, relu(load(rows[clip] + c)));
        ring.take(0, 0);
    }

    void start(int thread, const Matrix& m, const float* bias, float* to) const {
        start_sums(to, bias, m, job.clips, thread, job.threads);
    }

    void multiply(int thread, const Matrix& m, const Ring& x, float* to) {
        std::vector<Column>& columns = scratch[thread].columns;
        for (int clip = 0; clip < job.clips; ++clip) columns[clip] = {x.input(0, 0, clip), to + (size_t)clip * m.pitch()};
        const Share panels(m.panels, thread, job.threads);
        for (int panel = panels.begin; panel < panels.end; ++panel) add_product(m, panel, columns.data(), job.clips);
    }

    void step(int thread, int64_t time, int sample) {
        Rows *x = &stream[0], *next = &stream[1];
        const Share vectors(net.pitch / LANES, thread, job.threads);
        for (int clip = 0; clip < job.clips; ++clip) {
            const float* row = net.table + (size_t)job.codes[(size_t)clip * job.samples + sample] * net.pitch;
            std::copy(row + vectors.begin * LANES, row + vectors.end * LANES, (*x)[clip] + vectors.begin * LANES);
        }
        team.meet();
        Scratch& mine = scratch[thread];
        start(thread, *layers[0].skip, skip_bias, skip[0]);
        for (const Layer& layer : layers) {
            gate(thread, layer, *x, time);
            team.meet();
            keep(thread, layer, *x, time);
            copy(mine.z, z.pitch, [this](int clip) { return z[clip]; });
            if (layer.residual) {
                residual(thread, layer, *x, *next);
                std::swap(x, next);
            }
            multiply(thread, *layer.skip, mine.z, skip[0]);
            team.meet();
        }
        copy_rectified(mine.skip, skip);
        start(thread, *end_1, end_1_bias, hidden[0]);
        multiply(thread, *end_1, mine.skip, hidden[0]);
        team.meet();
        copy_rectified(mine.hidden, hidden);
        start(thread, *end_2, end_2_bias, job.logits);
        multiply(thread, *end_2, mine.hidden, job.logits);
        team.meet();
    }

    float* slot(const Layer& layer, int clip, int64_t time) const {
        const int64_t length = (net.kernel - 1) * layer.dilation;
        return layer.ring + (clip * length + time % length) * net.residual_channels;
    }

    void gate(int thread, const Layer& layer, const Rows& x, int64_t time) {
        Ring& mine = scratch[thread].residual;
        start(thread, *layer.taps, layer.bias, sums[0]);
        for (int tap = 0; tap < net.kernel; ++tap) {
            const int64_t then = time - (net.kernel - 1 - tap) * layer.dilation;
            copy(mine, net.residual_channels, [&](int clip) { return then < time ? slot(layer, clip, then) : x[clip]; });
            multiply(thread, layer.taps[tap], mine, sums[0]);
        }
        for (int clip = 0; clip < job.clips; ++clip)
            gate_panels(sums[clip], *layer.taps, thread, job.threads, [&](int c, Floats y) { store(z[clip] + c, y); });
    }

    // The newest frame takes the place of the oldest, which all have read.
    void keep(int thread, const Layer& layer, const Rows& x, int64_t time) {
        const Share channels(net.residual_channels, thread, job.threads);
        for (int clip = 0; clip < job.clips; ++clip)
            std::copy(x[clip] + channels.begin, x[clip] + channels.end, slot(layer, clip, time) + channels.begin);
    }

    void residual(int thread, const Layer& layer, const Rows& x, Rows& next) {
        const Matrix& m = *layer.residual;
        start(thread, m, layer.residual_bias, next[0]);
        multiply(thread, m, scratch[thread].z, next[0]);
        const Share panels(m.panels, thread, job.threads);
        for (int clip = 0; clip < job.clips; ++clip)
            for (int c = panels.begin * m.width * LANES; c < panels.end * m.width * LANES; c += LANES)
                store(next[clip] + c, load(next[clip] + c) + load(x[clip] + c));
    }

    const WaveNet& net;
    const Job& job;
    Team team;
    std::vector<Layer> layers;
    const Matrix *end_1, *end_2;
    const float *skip_bias, *end_1_bias, *end_2_bias;
    Rows sums, z, skip, hidden, stream[2];
    std::vector<Scratch> scratch;  // by thread
};
