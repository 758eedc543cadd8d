// The Seq-U-Net's whole loop for a block: draw, step, feed back.
//
// A step reads few numbers and many weights, so what costs is to move the weights. Most of them meet frames that are
// known long before they are needed: a tap that looks back d frames can serve the next d outputs at once. Each tap
// therefore runs for `batch` outputs together, every `batch`-th time, and adds to sums that wait for their output.
#pragma once

#include "job.h"

struct SeqUNet {             // made by sequnet.py
    const Matrix* matrices;  // of the layers in the order of SeqUNetProgram's constructor, tap by tap, oldest first
    const float* const* biases;
    const float* table;  // (kernel, 256, pitch), the input convolution
    const float* table_bias;
    const int32_t* depths;             // layers each way, by level, the bottleneck's last
    int32_t blocks, channels, kernel;  // blocks: levels without the bottleneck
    int32_t normed;                    // whether layers read norms of frames
    int32_t ends;                      // matrices from the finest level to the logits
};

struct Tap {
    const Matrix* matrix;
    const Ring* source;
    int back, batch;
};

class Convolution {
  public:
    Convolution(const Matrix*& matrices, const float* bias, const Ring& source, int taps, int stride, const Job& job)
        : stride(stride), bias(bias), job(job), sums((size_t)SLOTS * job.clips * matrices->pitch()) {
        add_taps(matrices, source, taps, -1);
    }

    // `ahead`: how many frames later than the output's own are known already (-1: its own is the newest, and just in).
    void add_taps(const Matrix*& matrices, const Ring& source, int count, int ahead) {
        for (int back = count - 1; back >= 0; --back) {
            int batch = SLOTS;
            while (batch > 1 && (batch - 1) * stride > back + ahead) batch /= 2;
            taps.push_back({matrices++, &source, back, batch});
        }
        // each sum is added up in one order, whichever time a block starts at
        std::stable_sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) { return a.batch > b.batch; });
        frames.resize(job.threads);
        for (auto& columns : frames) columns.resize((size_t)SLOTS * job.clips);
    }

    // All of the sums that waiting outputs would have by now, where `output` is the next.
    void resume(int thread, int64_t output) {
        for (int slot = 0; slot < SLOTS; ++slot) start(thread, slot);
        for (const Tap& tap : taps)
            if (const int done = output & (tap.batch - 1)) add(thread, tap, output, tap.batch - done);
    }

    template <class Use>
    void step(int thread, int64_t output, const Use& use) {
        for (const Tap& tap : taps)
            if (!(output & (tap.batch - 1))) add(thread, tap, output, tap.batch);
        for (int clip = 0; clip < job.clips; ++clip)
            gate_panels(sum(output, clip), matrix(), thread, job.threads, [&](int c, Floats y) { use(clip, c, y); });
        start(thread, output);
    }

  private:
    static constexpr int SLOTS = 4;

    const Matrix& matrix() const { return *taps[0].matrix; }

    float* sum(int64_t output, int clip) const {
        return sums + ((output & (SLOTS - 1)) * job.clips + clip) * matrix().pitch();
    }

    void start(int thread, int64_t output) {
        start_sums(sum(output, 0), bias, matrix(), job.clips, thread, job.threads);
    }

    void add(int thread, const Tap& tap, int64_t output, int count) {
        Column* columns = frames[thread].data();
        for (int64_t o = output; o < output + count; ++o)
            for (int clip = 0; clip < job.clips; ++clip)
                *columns++ = {tap.source->input(thread, o * stride - tap.back, clip), sum(o, clip)};
        const Share panels(tap.matrix->panels, thread, job.threads);
        for (int panel = panels.begin; panel < panels.end; ++panel)
            add_product(*tap.matrix, panel, frames[thread].data(), count * job.clips);
    }

    int stride;
    const float* bias;
    const Job& job;
    std::vector<Tap> taps;
    Buffer<float> sums;  // (SLOTS, clips, pitch)
    std::vector<std::vector<Column>> frames;
};

class SeqUNetProgram {
  public:
    SeqUNetProgram(const SeqUNet& net, const Job& job) : net(net), job(job), team(job.threads) {
        const Matrix* matrix = net.matrices;
        const float* const* bias = net.biases;
        pitch = matrix->pitch() / 2;
        const bool quantize = QUANTIZE_INPUTS && matrix->format == INT8;
        int slots = 4;
        while (slots < net.kernel + 3) slots *= 2;
        const int normed = net.normed ? net.channels : 0;
        const auto ring = [&] { return Ring(slots, job.clips, pitch, job.threads, quantize, normed); };
        levels.resize(net.blocks + 1);
        for (int l = 0; l <= net.blocks; ++l) {
            Level& level = levels[l];
            for (int i = 0; i <= net.depths[l]; ++i) level.inputs.push_back(ring());
            for (int i = 0; i < net.depths[l]; ++i) level.outputs.push_back(ring());
            level.condition = ring();
        }
        columns.assign(job.threads, std::vector<Column>(job.clips));
        for (int l = 0; l < net.blocks; ++l) {
            Level& level = levels[l];
            const int depth = net.depths[l];
            for (int i = 0; i <= depth; ++i)
                level.down.emplace_back(matrix, *bias++, level.inputs[i], net.kernel, i < depth ? 1 : 2, job);
            const Ring& coarse = result(l + 1);
            level.upsample.emplace_back(matrix, *bias, coarse, net.kernel / 2 + 1, 1, job);
            level.upsample.emplace_back(matrix, *bias++, coarse, net.kernel / 2, 1, job);
            for (int i = 0; i < depth; ++i) {
                const Ring& source = i ? level.outputs[i - 1] : level.inputs[depth];
                level.up.emplace_back(matrix, *bias++, source, net.kernel, 1, job);
                level.up.back().add_taps(matrix, level.condition, net.kernel, 1);
            }
        }
        Level& bottom = levels[net.blocks];
        for (int i = 0; i < net.depths[net.blocks]; ++i)
            bottom.down.emplace_back(matrix, *bias++, bottom.inputs[i], net.kernel, 1, job);
        int width = pitch;
        for (int i = 0; i < net.ends; ++i) {
            ends.push_back({matrix, *bias++, width, {}, {}});
            for (int thread = 0; thread < job.threads; ++thread)
                ends[i].rectified.emplace_back(1, job.clips, width, 1, quantize);
            width = (matrix++)->pitch();
            if (i < net.ends - 1) ends[i].outputs = Buffer<float>((size_t)job.clips * width);
        }
    }

    void run() {
        read_state();
        team.run([this](int thread) {
            for (int l = 0; l <= net.blocks; ++l) {
                const int64_t next = (job.time >> l) + 1;
                for (int i = 0; i < (int)levels[l].down.size(); ++i)
                    levels[l].down[i].resume(thread, i < net.depths[l] ? next : (job.time >> (l + 1)) + 1);
                for (Convolution& up : levels[l].upsample) up.resume(thread, (job.time >> (l + 1)) + 1);
                for (Convolution& up : levels[l].up) up.resume(thread, next);
            }
            for (int sample = 0; sample < job.samples; ++sample) {
                draw_codes(job, thread, sample);
                team.meet();
                step(thread, job.time + 1 + sample, sample);
            }
        });
        write_state();
    }

  private:
    struct Level {
        std::vector<Ring> inputs;   // of the convolutions on the way down; the last is the skip
        std::vector<Ring> outputs;  // of the convolutions on the way up
        Ring condition;
        std::vector<Convolution> down, upsample, up;  // down: the strided one is the last; upsample: even, odd
    };

    struct End {
        const Matrix* matrix;
        const float* bias;
        int pitch;                    // of what is read
        std::vector<Ring> rectified;  // by thread
        Buffer<float> outputs;        // (clips, pitch); the last gives logits
    };

    // What a level hands up; the bottleneck's is that of its last convolution down.
    Ring& result(int l) { return l < net.blocks ? levels[l].outputs.back() : levels[l].inputs.back(); }

    // One frame through a convolution: to = x + gate(sums).
    void layer(int thread, Convolution& convolution, int64_t output, const Ring& from, int64_t time, Ring& to) {
        convolution.step(thread, output, [&](int clip, int channel, Floats y) {
            store(to.frame(output, clip) + channel, load(from.frame(time, clip) + channel) + y);
        });
        team.meet();
        to.take(thread, output);
    }

    void step(int thread, int64_t time, int sample) {
        Level& top = levels[0];
        look_up(thread, time, sample);
        team.meet();
        top.inputs[0].take(thread, time);
        int l = 0;
        for (;; ++l) {
            Level& level = levels[l];
            const int64_t n = time >> l;
            for (int i = 0; i < net.depths[l]; ++i)
                layer(thread, level.down[i], n, level.inputs[i], n, level.inputs[i + 1]);
            if (l == net.blocks || n % 2) break;
            layer(thread, level.down.back(), n / 2, level.inputs.back(), n, levels[l + 1].inputs[0]);
        }
        for (l = std::min(l, net.blocks - 1); l >= 0; --l) {
            Level& level = levels[l];
            const int64_t n = time >> l;
            if (n % 2 == 0) {
                const Ring& coarse = result(l + 1);
                for (int odd = 0; odd < 2; ++odd)
                    level.upsample[odd].step(thread, n / 2, [&](int clip, int channel, Floats y) {
                        store(level.condition.frame(n + odd, clip) + channel,
                              load(coarse.frame(n / 2, clip) + channel) + y);
                    });
                team.meet();
                level.condition.take(thread, n);
                level.condition.take(thread, n + 1);
            }
            for (int i = 0; i < net.depths[l]; ++i) {
                const Ring& source = i ? level.outputs[i - 1] : level.inputs.back();
                layer(thread, level.up[i], n, source, n, level.outputs[i]);
            }
        }
        for (size_t i = 0; i < ends.size(); ++i) {
            float* const to = i + 1 < ends.size() ? (float*)ends[i].outputs : job.logits;
            give(thread, ends[i], to, [&](int clip) {
                return i ? ends[i - 1].outputs + clip * ends[i - 1].matrix->pitch() : result(0).read(thread, time, clip);
            });
        }
    }

    // The input convolution: rows of a table.
    void look_up(int thread, int64_t time, int sample) {
        const Share vectors(pitch / LANES, thread, job.threads);
        for (int clip = 0; clip < job.clips; ++clip) {
            const uint8_t* codes = job.codes + (size_t)clip * job.samples + sample;
            float* frame = levels[0].inputs[0].frame(time, clip);
            for (int v = vectors.begin; v < vectors.end; ++v) {
                Floats x = load(net.table_bias + v * LANES);
                for (int k = 0; k < net.kernel; ++k) {
                    const int ago = net.kernel - 1 - k;
                    const int code = ago <= sample ? codes[-ago] : earlier(clip, ago - sample);
                    x += load(net.table + ((size_t)k * CLASSES + code) * pitch + v * LANES);
                }
                store(frame + v * LANES, x);
            }
        }
    }

    // A code from before this block, `ago` samples before its first.
    int earlier(int clip, int ago) const { return (int)job.state[0][(clip + 1) * net.kernel - ago]; }

    // What a matrix makes of frames, rectified.
    template <class Frame>
    void give(int thread, End& end, float* to, const Frame& frame) {
        Ring& mine = end.rectified[thread];  // every thread makes its own copy: the frame is short, and a wait is saved
        start_sums(to, end.bias, *end.matrix, job.clips, thread, job.threads);
        for (int clip = 0; clip < job.clips; ++clip) {
            const float* const from = frame(clip);
            float* const rectified = mine.frame(0, clip);
            for (int c = 0; c < end.pitch; c += LANES) store(rectified + c, relu(load(from + c)));
        }
        mine.take(0, 0);
        for (int clip = 0; clip < job.clips; ++clip)
            columns[thread][clip] = {mine.input(0, 0, clip), to + clip * end.matrix->pitch()};
        const Share panels(end.matrix->panels, thread, job.threads);
        for (int panel = panels.begin; panel < panels.end; ++panel)
            add_product(*end.matrix, panel, columns[thread].data(), job.clips);
        team.meet();
    }

    // The tensors of the state: codes (clips, kernel), then by level those of the layers down, of the layer up to it, its
    // odd frame, and [skip, condition] of the layers up; then those of the bottleneck.
    template <class Visit>  // visit(ring, part, time of the last frame)
    void each_state(int64_t time, const Visit& visit) {
        const int channels = net.channels;
        float* const* tensor = job.state + 1;
        const auto window = [&](int frames) { return Part{*tensor++, channels, 0, channels, frames, false}; };
        for (int l = 0; l < net.blocks; ++l) {
            Level& level = levels[l];
            const int64_t n = time >> l;
            for (Ring& input : level.inputs) visit(input, window(net.kernel), n);
            visit(result(l + 1), window(net.kernel / 2 + 1), n >> 1);
            visit(level.condition, Part{*tensor++, channels, 0, channels, 1, true}, n | 1);
            for (int i = 0; i < net.depths[l]; ++i, ++tensor) {
                Part half{*tensor, 2 * channels, 0, channels, net.kernel, false};
                visit(i ? level.outputs[i - 1] : level.inputs.back(), half, n);
                half.first = channels;
                visit(level.condition, half, n);
            }
        }
        for (int i = 0; i < net.depths[net.blocks]; ++i)
            visit(levels[net.blocks].inputs[i], window(net.kernel), time >> net.blocks);
    }

    void read_state() {
        each_state(job.time, [](Ring& ring, const Part& part, int64_t time) { ring.take_over(part, time); });
    }

    void write_state() {
        const int64_t end = job.time + job.samples;
        each_state(end, [](const Ring& ring, const Part& part, int64_t time) { ring.hand_over(part, time); });
        for (int clip = 0; clip < job.clips; ++clip) {
            const uint8_t* drawn = job.codes + (size_t)clip * job.samples;
            float* codes = job.state[0] + clip * net.kernel;
            for (int k = 0; k < net.kernel; ++k) {
                const int sample = job.samples - net.kernel + k;
                codes[k] = sample < 0 ? codes[k + job.samples] : drawn[sample];
            }
        }
    }

    const SeqUNet& net;
    const Job& job;
    Team team;
    int pitch;
    std::vector<Level> levels;
    std::vector<End> ends;                     // from the finest level to the logits
    std::vector<std::vector<Column>> columns;  // by thread
};
