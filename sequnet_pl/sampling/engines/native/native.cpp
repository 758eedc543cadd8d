// The whole loop of a network over a block, following a schedule (schedule.py): draw a code, step, feed it back.
//
// A step reads few numbers and many weights, so reading the weights dominates. Most weights multiply frames that are
// known long before their output is due: a tap with a lag of d frames can compute its product for the next d outputs
// at once. Each tap therefore runs for `batch` outputs together, every `batch`-th time, and adds to their partial sums.
#include "draw.h"
#include "rings.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

constexpr int SLOTS = 4;  // outputs that a tap serves at once at most

// The structures are those of native.py, field by field.
struct TapRow {
    int32_t matrix;  // -1: the frame is added as it is
    int32_t ring, back, batch, stride;  // stride: log2 of the ring's frames for one of the operation
};

struct OutputRow {
    int32_t taps, tap_count;  // the most batched first, so that each sum is added up in one order
    int32_t panels, width;      // as those of its matrices
    int32_t ring, rate, ahead;  // its index = (the operation's << rate) + ahead; ring -1: the logits
    int32_t activation;
    int32_t source, states, pairs;  // of a recurrence: the ring that it reads, that of its states, states a channel
};
enum Activation { NONE = 0, GATE = 1, GLU = 2, GELU = 3 };  // see schedule.py

struct OperationRow {
    int32_t outputs, output_count, shift;
};

struct PartRow {  // of a state's tensor
    int32_t ring, count, kind, raw, channels, offset, group;
};
enum Kind { WINDOW = 0, ROTATING = 1, AHEAD = 2, FIXED = 3 };  // see Frames in schedule.py

struct Schedule {
    const Matrix* matrices;
    const float* const* biases;       // by output
    const float* const* recurrences;  // by output, see _recurrence in native.py
    const float* const* norms;        // by ring
    const RingRow* rings;
    const TapRow* taps;
    const OutputRow* outputs;
    const OperationRow* operations;
    const int32_t* order;     // the operations of each pattern, one after the other
    const int32_t* patterns;  // where each begins
    const PartRow* parts;
    const float* table;  // (kernel, 256, pitch), the input convolution
    int32_t ring_count, output_count, operation_count, pattern_count, part_count, kernel, pitch, input, quantize;
};

struct StateView {  // a part of a state: its first number, and the strides of clips, channels and frames
    float* numbers;
    int64_t clip, channel, frame;
};

struct Job {
    float* logits;          // (clips, 256) of the next code; left as those of the code after the block
    const double* uniform;  // (clips, samples)
    uint8_t* codes;         // (clips, samples), drawn here
    const uint8_t* history;  // (clips, kernel), the codes before
    const float* input_biases;  // (clips, pitch), of the input convolution
    float* nats;            // (clips, samples)
    const StateView* state;  // by part, updated
    int64_t time;           // of the state; a whole number of cycles may be added
    int32_t clips, samples, threads;
    SamplingParams params;
};

// The part of `count` that a thread does.
struct Range {
    int begin, end;
    Range(int count, int thread, int threads) : begin(count * thread / threads), end(count * (thread + 1) / threads) {}
};

struct Tap {
    const Matrix* matrix;
    const Ring* source;
    int64_t back;
    int batch, stride;
};

class Output {
  public:
    Output(const Schedule& net, int number, std::vector<Ring>& rings, const Job& job)
        : row(net.outputs[number]), bias(net.biases[number]), recurrence(net.recurrences[number]), job(job),
          target(row.ring < 0 ? nullptr : &rings[row.ring]), source(row.pairs ? &rings[row.source] : nullptr),
          states(row.pairs ? &rings[row.states] : nullptr) {
        for (int i = 0; i < row.tap_count; ++i) {
            const TapRow& tap = net.taps[row.taps + i];
            (tap.matrix < 0 ? added : taps)
                .push_back({net.matrices + tap.matrix, &rings[tap.ring], tap.back, tap.batch, tap.stride});
        }
        sums = Buffer<float>((size_t)SLOTS * job.clips * pitch());
        columns.assign(job.threads, std::vector<Column>((size_t)SLOTS * job.clips));
    }

    // All of the sums that waiting outputs would have by now, where number `n` is the next.
    void resume(int thread, int64_t n) {
        for (int slot = 0; slot < SLOTS; ++slot) start(thread, slot);
        for (const Tap& tap : taps)
            if (const int done = n & (tap.batch - 1)) add(thread, tap, n, tap.batch - done);
    }

    void step(int thread, int64_t n) {
        for (const Tap& tap : taps)
            if (!(n & (tap.batch - 1))) add(thread, tap, n, tap.batch);
        const Range panels(row.panels, thread, job.threads);
        if (source) respond(panels, thread, n);
        if (row.activation == NONE) write<NONE>(panels, n);
        if (row.activation == GATE) write<GATE>(panels, n);
        if (row.activation == GLU) write<GLU>(panels, n);
        if (row.activation == GELU) write<GELU>(panels, n);
        start(thread, n);
    }

    void publish(int thread, int64_t n) const {
        if (target) target->publish(thread, index(n));
    }

  private:
    int pitch() const { return row.panels * row.width * LANES; }

    const float* old(int number, int64_t n, int clip) const {
        if (number >= (int)added.size()) return nullptr;
        return added[number].source->frame((n << added[number].stride) - added[number].back, clip);
    }

    // The function of the sums, and what is added to it.
    template <int ACTIVATION>
    void write(const Range& panels, int64_t n) const {
        const int halves = ACTIVATION == GATE || ACTIVATION == GLU ? 2 : 1, vectors = row.width / halves;
        for (int clip = 0; clip < job.clips; ++clip) {
            const float *first = old(0, n, clip), *second = old(1, n, clip), *from = sum(n, clip);
            float* to = target ? target->frame(index(n), clip) : job.logits + clip * CLASSES;
            for (int panel = panels.begin; panel < panels.end; ++panel)
                for (int k = 0; k < vectors; ++k) {
                    const float* at = from + (panel * row.width + k) * LANES;
                    const int c = (panel * vectors + k) * LANES;
                    Floats y = load(at);
                    if (ACTIVATION == GATE) y = gated(y, load(at + vectors * LANES));
                    if (ACTIVATION == GLU) y *= sigmoid(load(at + vectors * LANES));
                    if (ACTIVATION == GELU) y = gelu(y);
                    if (first) y = load(first + c) + y;
                    if (second) y = load(second + c) + y;
                    store(to + c, y);
                }
        }
    }

    // The response of a diagonal recurrence, added to the sums; its states are updated.
    void respond(const Range& panels, int thread, int64_t n) {
        const size_t apart = (size_t)states->frame(1, 0) - (size_t)states->frame(0, 0);
        for (int clip = 0; clip < job.clips; ++clip) {
            const float* x = source->input(thread, n, clip).values;
            for (int c = panels.begin * row.width * LANES; c < panels.end * row.width * LANES; c += LANES) {
                const float* w = recurrence + pitch() + (size_t)c * 6 * row.pairs;
                const Floats u = load(x + c);
                Floats real = load(recurrence + c) * u, imaginary = {};
                char* state = (char*)(states->frame(0, clip) + c);
                for (int k = 0; k < row.pairs; ++k, w += 6 * LANES, state += 2 * apart) {
                    float *const re = (float*)state, *const im = (float*)(state + apart);
                    const Floats p = load(w) * load(re) - load(w + LANES) * load(im) + load(w + 2 * LANES) * u;
                    const Floats q = load(w) * load(im) + load(w + LANES) * load(re) + load(w + 3 * LANES) * u;
                    store(re, p);
                    store(im, q);
                    real += load(w + 4 * LANES) * p;
                    imaginary += load(w + 5 * LANES) * q;
                }
                float* to = sum(n, clip) + c;
                store(to, load(to) + (real + imaginary));
            }
        }
    }

    int64_t index(int64_t n) const { return (n << row.rate) + row.ahead; }

    float* sum(int64_t n, int clip) const { return sums + ((n & (SLOTS - 1)) * job.clips + clip) * pitch(); }

    void start(int thread, int64_t n) {
        const Range panels(row.panels, thread, job.threads);
        const int from = panels.begin * row.width * LANES, to = panels.end * row.width * LANES;
        for (int clip = 0; clip < job.clips; ++clip) std::copy(bias + from, bias + to, sum(n, clip) + from);
    }

    void add(int thread, const Tap& tap, int64_t n, int count) {
        Column* column = columns[thread].data();
        for (int64_t o = n; o < n + count; ++o)
            for (int clip = 0; clip < job.clips; ++clip)
                *column++ = {tap.source->input(thread, (o << tap.stride) - tap.back, clip), sum(o, clip)};
        const Range panels(tap.matrix->panels, thread, job.threads);
        for (int panel = panels.begin; panel < panels.end; ++panel)
            add_product(*tap.matrix, panel, columns[thread].data(), count * job.clips);
    }

    const OutputRow row;
    const float *bias, *recurrence;
    const Job& job;
    Ring* target;
    const Ring *source, *states;
    std::vector<Tap> taps, added;
    Buffer<float> sums;                        // (SLOTS, clips, pitch)
    std::vector<std::vector<Column>> columns;  // by thread
};

class Program {
  public:
    Program(const Schedule& net, const Job& job) : net(net), job(job), team(job.threads) {
        for (int i = 0; i < net.ring_count; ++i)
            rings.emplace_back(net.rings[i], net.norms[i], job.clips, job.threads, QUANTIZE_INPUTS && net.quantize);
        for (int i = 0; i < net.output_count; ++i)
            outputs.emplace_back(net, i, rings, job);
    }

    void run() {
        for (int thread = 0; thread < job.threads; ++thread) read_state(thread);
        team.run([this](int thread) {
            for (int i = 0; i < net.operation_count; ++i) {
                const OperationRow& op = net.operations[i];
                for (int o = op.outputs; o < op.outputs + op.output_count; ++o)
                    outputs[o].resume(thread, (job.time >> op.shift) + 1);
            }
            for (int sample = 0; sample < job.samples; ++sample) {
                const Range clips(job.clips, thread, job.threads);
                for (int clip = clips.begin; clip < clips.end; ++clip) {
                    const size_t at = (size_t)clip * job.samples + sample;
                    job.codes[at] = draw(job.logits + clip * CLASSES, job.uniform[at], job.params, job.nats + at);
                }
                team.barrier();
                step(thread, job.time + 1 + sample, sample);
            }
        });
        write_state();
    }

  private:
    void step(int thread, int64_t time, int sample) {
        Ring& input = rings[net.input];
        look_up(thread, time, sample);
        team.barrier();
        input.publish(thread, time);
        const int zeros = __builtin_ctzll(time), pattern = std::min(zeros, net.pattern_count - 1);
        for (int i = net.patterns[pattern]; i < net.patterns[pattern + 1]; ++i) {
            const OperationRow& op = net.operations[net.order[i]];
            const int64_t n = time >> op.shift;
            for (int o = op.outputs; o < op.outputs + op.output_count; ++o) outputs[o].step(thread, n);
            team.barrier();
            for (int o = op.outputs; o < op.outputs + op.output_count; ++o) outputs[o].publish(thread, n);
        }
    }

    // The input convolution: rows of a table.
    void look_up(int thread, int64_t time, int sample) {
        const Range vectors(net.pitch / LANES, thread, job.threads);
        for (int clip = 0; clip < job.clips; ++clip) {
            const uint8_t* codes = job.codes + (size_t)clip * job.samples + sample;
            const uint8_t* before = job.history + (clip + 1) * net.kernel;
            float* frame = rings[net.input].frame(time, clip);
            for (int v = vectors.begin; v < vectors.end; ++v) {
                Floats x = load(job.input_biases + (size_t)clip * net.pitch + v * LANES);
                for (int k = 0; k < net.kernel; ++k) {
                    const int ago = net.kernel - 1 - k;
                    const int code = ago <= sample ? codes[-ago] : before[sample - ago];
                    x += load(net.table + ((size_t)k * CLASSES + code) * net.pitch + v * LANES);
                }
                store(frame + v * LANES, x);
            }
        }
    }

    template <class Visit>  // visit(ring, index, numbers of a clip's frame in the state)
    void each_frame(const PartRow& part, const StateView& view, int64_t time, const Visit& visit) {
        Ring& ring = rings[part.ring];
        const int64_t now = time >> ring.shift;
        for (int k = 0; k < part.count; ++k) {
            const int64_t index = part.kind == ROTATING ? now - (now - part.offset - k) % part.count
                                  : part.kind == AHEAD ? now - now % part.group + 1 + k
                                  : part.kind == FIXED ? k
                                                       : now - part.count + 1 + k;
            for (int clip = 0; clip < job.clips; ++clip)
                visit(ring, index, clip, view.numbers + clip * view.clip + k * view.frame);
        }
    }

    void read_state(int thread) {
        for (int i = 0; i < net.part_count; ++i) {
            const PartRow& part = net.parts[i];
            const int64_t apart = job.state[i].channel;
            const auto visit = [&](Ring& ring, int64_t index, int clip, const float* numbers) {
                if (thread && ring.is_shared()) return;
                float* own = ring.held(thread, index, clip, part.raw);
                for (int c = 0; c < part.channels; ++c) own[c] = numbers[c * apart];
                if (clip == job.clips - 1) part.raw ? ring.publish(thread, index) : ring.quantize(thread, index);
            };
            each_frame(part, job.state[i], job.time, visit);
        }
    }

    void write_state() {
        for (int i = 0; i < net.part_count; ++i) {
            const PartRow& part = net.parts[i];
            const int64_t apart = job.state[i].channel;
            const auto visit = [&](Ring& ring, int64_t index, int clip, float* numbers) {
                const float* own = ring.held(0, index, clip, part.raw);
                for (int c = 0; c < part.channels; ++c) numbers[c * apart] = own[c];
            };
            each_frame(part, job.state[i], job.time + job.samples, visit);
        }
    }

    const Schedule& net;
    const Job& job;
    Team team;
    std::vector<Ring> rings;
    std::vector<Output> outputs;
};

extern "C" int sample_block(const Schedule* net, const Job* job) {
    try {
        Program(*net, *job).run();
        return 0;
    } catch (const std::exception&) {
        return 1;
    }
}

// Ask for large pages: weights are read from end to end, again and again, and each small page costs a look-up.
extern "C" void use_large_pages(void* memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 1 << 21, begin = ((uintptr_t)memory + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)memory + bytes) / page * page;
    if (begin < end) madvise((void*)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}
