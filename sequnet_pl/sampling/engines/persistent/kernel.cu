// A whole block of samples of one clip, drawn and stepped by one kernel that stays on the GPU.
//
// A step of one clip is a chain of small matrix products; what costs is to get from one to the next. Here each block of
// threads owns some output channels of every product, and hands their values to all others as packets: a value and the
// frame_index (time of its level) of its frame, 64 bits that are stored and read at once. Who needs a frame reads its packets
// until they bear its frame_index, so that no barrier of all blocks and no fence is needed. All blocks must be resident
// (cooperative launch), for they wait for each other.
//
// The frames of one layer lie in a ring of packets in global memory, slot = frame_index modulo slots. A ring has slots for two
// frames more than are read: a block can be a step ahead of another, which may still be reading, and the transposed
// layers write a frame ahead of its frame_index; nobody is further ahead, for every block owns a logit and drawing needs them
// all. Every launch begins with rings that the host has filled from the state and zeroed elsewhere, and with frame
// indices that are not zero, so that no packet of an earlier launch can be mistaken for one of this. Frames of rings that are `kept`
// also stay in each block's shared memory, where their older taps are found without reading them again.
//
// Under a norm, what is multiplied is frames divided by their root mean square, and rings hold these. Layers give frames
// as they are, to small rings of their own. The operation that is the first to read one brings it to its place in shared
// memory, where every warp finds its norm, and multiplies what it reads of it; identities are read there too. Before the
// next operation the frame is normed in its place, and each block has handed its own channels on to the ring.
//
// What a step does is not decided here but by a table of operations (schedule.py and layout.py), one list for each
// pattern of steps. The structures below are those of layout.py and persistent.py, field by field.
// Compiled by NVRTC, without any header, with WIDTH (channels of a frame, a multiple of 8), THREADS, HELD, BF16 and NORM.

typedef unsigned long long Packet;  // the value in the low half, the frame_index in the high one
#if BF16
typedef unsigned short Weight;
#else
typedef float Weight;
#endif
constexpr int CLASSES = 256;
constexpr int WARPS = THREADS / 32;
constexpr int CHUNK = 16 / sizeof(Weight);  // weights that a thread loads at once
constexpr int CHUNKS = WIDTH / CHUNK;       // of a frame
constexpr int AT_ONCE = 4;                  // packets that a thread has in flight
constexpr int FRESH = 2;                    // frames that an operation norms at most
#ifndef SPINS
constexpr int SPINS = 1 << 23;  // reads of a packet, seconds, after which a block is taken to be stuck
#endif

struct Segment {  // a frame that an operation reads: one column of WIDTH inputs
    int packets, mask;  // where its ring begins, and its slots - 1
    int width;          // channels; the weights of the others of WIDTH are zero
    int shared, kept;   // where it lies in shared memory: slots - 1 of a kept ring, 0 for a place of its own
    int shift, back;    // frame_index = (time >> shift) - back
};

struct Target {  // a frame, or a part of one, that an operation gives
    int packets, mask, shift, ahead;  // frame_index = (time >> shift) + ahead
    int width, share;                 // channels, and how many of them a block owns at most
    int gated;                        // rows of weights: filter and gate of each channel; else one row
    int weights, bias;                // where they begin, in chunks and in numbers
};

struct Operation {
    int segments, fresh;       // in the order of a row of weights, and how many of the first are to be normed
    int chunks;                // of such a row
    int fetches, fetch_count;  // the segments that are not in shared memory yet
    int targets, outputs;      // outputs: the sum of the shares
    int split, inverse;        // warps that share a sum, and the inverse of that in units of 2^-16, rounded up
    int held;                  // chunks of a row that a thread loads ahead
    int identity;              // the segment that is added to gated outputs, or -1
    int relu, relu_first;      // of what is given; of the first segment
};

struct Job {
    const int* table;
    const Weight* weights;
    const float* biases;
    const float* lookup;       // (kernel, CLASSES, channels): the input convolution
    const float* lookup_bias;  // (channels)
    Packet* packets;
    const double* uniform;         // (samples)
    const unsigned char* history;  // (kernel) codes before
    unsigned char* codes;          // (samples), drawn here
    float* logits;                 // (samples + 1, CLASSES), the first row given
    int* failed;                   // set where a block was stuck
    double temperature, top_p;
    int top_k;
    unsigned time;  // of the state, from a multiple of all cycles and slots on, so that no frame_index is 0
    int samples, kernel, channels;
    int operations, targets, order, patterns, segments;  // where they begin in the table
    int pattern_count, table_size;                       // the size of what is copied to shared memory
    int fills, fill_count;                               // segments of kept rings that are there to begin with
    int input;                                           // the segment that the input convolution gives
    int frames_size;                                     // numbers of shared memory that frames take
};

struct Workspace {  // the begin of shared memory; then follow the frames, the table, and the sums of rows
    double odds[CLASSES];
    float logits[CLASSES];
    unsigned char beyond[CLASSES];
    unsigned char codes[256];  // the newest, by time modulo 256
};

#ifndef EMULATED
extern __shared__ __align__(16) unsigned char memory[];

__device__ __forceinline__ Packet load_packet(const Packet* from) {
    Packet packet;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(packet) : "l"(from) : "memory");
    return packet;
}

__device__ __forceinline__ void store_packet(Packet* to, Packet packet) {
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(to), "l"(packet) : "memory");
}

// Weights are read once a step: they are to stay in the L2 cache and leave the L1 to the rest.
__device__ __forceinline__ uint4 load_weights(const uint4* from) {
    uint4 w;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(w.x), "=r"(w.y), "=r"(w.z), "=r"(w.w)
                 : "l"(from));
    return w;
}
#endif

__device__ __forceinline__ Workspace& work() { return *(Workspace*)memory; }
__device__ __forceinline__ float* frames() { return (float*)(memory + sizeof(Workspace)); }
__device__ __forceinline__ int* table(const Job& job) { return (int*)(frames() + job.frames_size); }
__device__ __forceinline__ float* sums(const Job& job) { return (float*)(table(job) + job.table_size); }

template <class Entry>
__device__ __forceinline__ const Entry& entry(const int* table, int begin, int number) {
    return ((const Entry*)(table + begin))[number];
}

template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
    for (int apart = 16; apart; apart /= 2) x += __shfl_xor_sync(~0u, x, apart);
    return x;
}

__device__ __forceinline__ void send(Packet* to, unsigned frame_index, float value) {
    store_packet(to, (Packet)frame_index << 32 | __float_as_uint(value));
}

// The value of the packet of a frame_index, which was read once already. Not found in time: `stuck`, and any value.
__device__ float receive(const Job& job, Packet packet, const Packet* from, unsigned frame_index, bool& stuck) {
    for (int spins = 1; (unsigned)(packet >> 32) != frame_index && !stuck; ++spins) {
        if (spins % 4096 == 0 && (spins >= SPINS || *(volatile int*)job.failed)) {
            stuck = true;
            *(volatile int*)job.failed = 1;  // so that the others do not wait as long
        }
        packet = load_packet(from);
    }
    return __uint_as_float((unsigned)packet);
}

// Bring frames to shared memory, those whose numbers the table lists; the block must meet before it reads them.
__device__ __forceinline__ void fetch(const Job& job, const int* table, int list, int count, unsigned time,
                                      bool& stuck) {
    for (int first = threadIdx.x; first < count * WIDTH; first += AT_ONCE * THREADS) {
        const Packet* from[AT_ONCE] = {};
        Packet packet[AT_ONCE];
        float* to[AT_ONCE];
        unsigned frame_index[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
            const int item = first + i * THREADS;
            if (item - (int)threadIdx.x >= count * WIDTH) break;  // for all threads: a way out that costs nothing
            if (item >= count * WIDTH) continue;
            const Segment& s = entry<Segment>(table, job.segments, table[list + item / WIDTH]);
            const int channel = item % WIDTH;
            frame_index[i] = (time >> s.shift) - s.back;
            to[i] = frames() + s.shared + (frame_index[i] & s.kept) * WIDTH + channel;
            if (channel >= s.width) continue;  // nobody gives these
            from[i] = job.packets + s.packets + (frame_index[i] & s.mask) * WIDTH + channel;
            packet[i] = load_packet(from[i]);
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i)
            if (from[i]) *to[i] = receive(job, packet[i], from[i], frame_index[i], stuck);
    }
}

// One of this block's outputs: number `k` of them, dealt out over the targets.
struct Output {
    const Target* target;
    int channel;  // not below the target's width: there is none
    __device__ Output(const Job& job, const Operation& op, int k) {
        target = &entry<Target>(table(job), job.targets, op.targets);
        for (; k >= target->share; ++target) k -= target->share;
        channel = blockIdx.x + k * gridDim.x;
    }
    __device__ bool exists() const { return channel < target->width; }
};

// A frame that an operation is the first to read, under a norm.
struct Fresh {
    float* frame;  // in shared memory, nullptr: there is none
    Packet* ring;  // its norm's packets
    unsigned frame_index;
    bool kept;
    float norm;  // that it is to be multiplied with

    __device__ void prepare(const Job& job, const Operation& op, int number, unsigned time) {
        frame = nullptr;
        if (!NORM || number >= op.fresh) return;
        const Segment& s = entry<Segment>(table(job), job.segments, op.segments + number);
        frame_index = time >> s.shift;
        frame = frames() + s.shared + (frame_index & s.kept) * WIDTH;
        ring = job.packets + s.packets + (frame_index & s.mask) * WIDTH;
        kept = s.kept;
    }

    // Every warp does that for itself: to wait for another's would take longer.
    __device__ void find(float share) {
        if (!frame) return;
        float squares = 0;
#pragma unroll
        for (int c = threadIdx.x % 32; c < WIDTH; c += 32) squares = fmaf(frame[c], frame[c], squares);
        norm = rsqrtf(fmaf(warp_sum(squares), share, 1e-6f));
    }

    // Let the last warp give this block's own channels to the ring.
    __device__ void hand_on(const Job& job) const {
        if (!frame || threadIdx.x < THREADS - 32) return;
        for (int c = blockIdx.x + threadIdx.x % 32 * gridDim.x; c < job.channels; c += 32 * gridDim.x)
            send(ring + c, frame_index, frame[c] * norm);
    }

    // Make it what is read from now on, once the block has met. One without slots is not read again here, and another
    // may lie in its place already.
    __device__ void settle() const {
        if (!frame || !kept) return;
        for (int c = threadIdx.x; c < WIDTH; c += THREADS) frame[c] *= norm;
    }
};

// What a thread multiplies for one of the two sums of an output: those of the filter's and the gate's row, or of the two
// halves of a linear row. Each is shared by `split` warps. The first chunks are loaded before their frames are there.
struct Row {
    const uint4* weights;
    int first, step, end;  // chunks
    int added;             // where the number lies that is added to the output, or -1
    float start;
    uint4 held[HELD];
    int at[HELD];

    __device__ void load(const Job& job, const Operation& op, int unit, int part, unsigned time) {
        first = end = 0;
        step = 1;
        added = -1;
        start = 0;
        if (unit >= 2 * op.outputs) return;
        const Output output(job, op, unit / 2);
        if (!output.exists()) return;
        const Target& target = *output.target;
        const int row = target.gated ? 2 * output.channel + unit % 2 : output.channel;
        const int lane = threadIdx.x % 32, shares = target.gated ? op.split : 2 * op.split;
        if (!target.gated) part += unit % 2 * op.split;
        weights = (const uint4*)job.weights + target.weights + row * op.chunks;
        first = part * 32 + lane;
        step = shares * 32;
        end = op.chunks;
        if (first == 0) start = job.biases[target.bias + row];
#pragma unroll
        for (int i = 0; i < HELD; ++i) {
            if (i >= op.held) break;
            const int chunk = first + i * step;
            if (chunk < end) held[i] = load_weights(weights + chunk), at[i] = place(job, op, chunk, time);
        }
        if (op.identity >= 0 && unit % 2 + part == 0) added = place(job, op, op.identity * CHUNKS, time) + output.channel;
    }

    // Where the inputs of a chunk lie among the frames.
    static __device__ __forceinline__ int place(const Job& job, const Operation& op, int chunk, unsigned time) {
        const Segment& s = entry<Segment>(table(job), job.segments, op.segments + chunk / CHUNKS);
        return s.shared + (((time >> s.shift) - s.back) & s.kept) * WIDTH + chunk % CHUNKS * CHUNK;
    }

    __device__ float multiply(const Job& job, const Operation& op, unsigned time, const Fresh* fresh) const {
        float sum[4] = {start, 0, 0, 0};
#pragma unroll
        for (int i = 0; i < HELD; ++i) {
            if (i >= op.held) break;
            const int chunk = first + i * step;
            if (chunk < end) add(sum, held[i], frames() + at[i], op, chunk, fresh);
        }
#pragma unroll 8
        for (int chunk = first + min(op.held, HELD) * step; chunk < end; chunk += step)
            add(sum, load_weights(weights + chunk), frames() + place(job, op, chunk, time), op, chunk, fresh);
        return warp_sum(sum[0] + sum[1] + (sum[2] + sum[3]));
    }

    static __device__ __forceinline__ void add(float* sum, uint4 w, const float* inputs, const Operation& op, int chunk,
                                               const Fresh* fresh) {
        const unsigned words[4] = {w.x, w.y, w.z, w.w};
        alignas(16) float x[CHUNK];
#pragma unroll
        for (int i = 0; i < CHUNK; i += 4) *(float4*)(x + i) = *(const float4*)(inputs + i);
        if (NORM && chunk < op.fresh * CHUNKS) {
            const float norm = chunk < CHUNKS ? fresh[0].norm : fresh[1].norm;
#pragma unroll
            for (int i = 0; i < CHUNK; ++i) {
                x[i] *= norm;
                if (op.relu_first && x[i] < 0) x[i] = 0;
            }
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#if BF16  // the upper half of a float32 is a bf16
            sum[i] = fmaf(__uint_as_float(words[i] << 16), x[2 * i], sum[i]);
            sum[i] = fmaf(__uint_as_float(words[i] & 0xffff0000u), x[2 * i + 1], sum[i]);
#else
            sum[i] = fmaf(__uint_as_float(words[i]), x[i], sum[i]);
#endif
        }
    }
};

// tanh(filter) * sigmoid(gate), to some 1e-7; not-a-number stays what it is.
__device__ __forceinline__ float gated(float filter, float gate) {
    return (1 - __fdividef(2, 1 + __expf(2 * filter))) * __fdividef(1, 1 + __expf(-gate));
}

// One exchange: wait for the frames that are read, multiply, hand the outputs on. What needs no frame is done before the
// wait, for while it lasts it costs nothing.
__device__ void run(const Job& job, const Operation& op, unsigned time, bool& stuck) {
    const int warp = threadIdx.x / 32, at_once = WARPS * op.inverse >> 16;
    const int pitch = 2 * op.split + 1;   // sums of an output, and what is added to it
    int unit = warp * op.inverse >> 16;  // two for each output
    const int part = warp - unit * op.split;
    Row row;
    row.load(job, op, unit, part, time);
    Packet* to = nullptr;  // this thread's output
    unsigned frame_index = 0;
    bool is_gated = false;
    if (threadIdx.x < op.outputs) {
        const Output output(job, op, threadIdx.x);
        const Target& target = *output.target;
        frame_index = (time >> target.shift) + target.ahead;
        is_gated = target.gated;
        if (output.exists()) to = job.packets + target.packets + (frame_index & target.mask) * WIDTH + output.channel;
    }
    Fresh fresh[FRESH];
    const float share = 1.0f / job.channels;
#pragma unroll
    for (int i = 0; i < FRESH; ++i) fresh[i].prepare(job, op, i, time);
    fetch(job, table(job), op.fetches, op.fetch_count, time, stuck);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < FRESH; ++i) fresh[i].find(share);
    while (unit < 2 * op.outputs) {
        const float sum = row.multiply(job, op, time, fresh);
        if (threadIdx.x % 32 == 0) {
            float* mine = sums(job) + unit / 2 * pitch;
            mine[unit % 2 * op.split + part] = sum;
            // read here, for the next operation's frames may come to lie there
            if (row.added >= 0) mine[pitch - 1] = frames()[row.added];
        }
        unit += at_once;
        row.load(job, op, unit, part, time);
    }
#pragma unroll
    for (int i = 0; i < FRESH; ++i) fresh[i].hand_on(job);
    __syncthreads();
    if (to) {
        const float* mine = sums(job) + threadIdx.x * pitch;
        float filter = 0, gate = 0;
        for (int i = 0; i < op.split; ++i) filter += mine[i], gate += mine[op.split + i];
        float value = is_gated ? gated(filter, gate) : filter + gate;
        if (op.identity >= 0) value += mine[pitch - 1];
        if (op.relu && value < 0) value = 0;
        send(to, frame_index, value);
    }
#pragma unroll
    for (int i = 0; i < FRESH; ++i) fresh[i].settle();
}

// The input convolution, which every block computes for itself: all but the newest code, then the newest.
__device__ float* input_frame(const Job& job, unsigned time) {
    const Segment& s = entry<Segment>(table(job), job.segments, job.input);
    return frames() + s.shared + (time & s.kept) * WIDTH;
}

__device__ void look_up_older(const Job& job, unsigned time) {
    for (int c = threadIdx.x; c < job.channels; c += THREADS) {
        float sum = job.lookup_bias[c];
        for (int k = 0; k < job.kernel - 1; ++k) {
            const int code = work().codes[(time - (job.kernel - 1 - k)) % 256];
            sum += job.lookup[(k * CLASSES + code) * job.channels + c];
        }
        input_frame(job, time)[c] = sum;
    }
}

__device__ void look_up_newest(const Job& job, unsigned time) {
    const Segment& s = entry<Segment>(table(job), job.segments, job.input);
    const float* row = job.lookup + ((job.kernel - 1) * CLASSES + work().codes[time % 256]) * job.channels;
    for (int c = threadIdx.x; c < job.channels; c += THREADS) {
        const float value = input_frame(job, time)[c] += row[c];
        if (!NORM && c % gridDim.x == blockIdx.x)  // else the first layer hands it on
            send(job.packets + s.packets + (time & s.mask) * WIDTH + c, time, value);
    }
}

// A code by the logits, as draw.py does it: a uniform number looked up in the cumulative distribution. In float64; every
// block draws for itself, and all draw the same. The block must have met before, and has met again after it.
__device__ void draw(const Job& job, double uniform, unsigned time) {
    Workspace& w = work();
    const int lane = threadIdx.x % 32;
    float most = w.logits[lane];
    for (int q = lane + 32; q < CLASSES; q += 32) most = fmaxf(most, w.logits[q]);
    for (int apart = 16; apart; apart /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
    for (int q = threadIdx.x; q < CLASSES; q += THREADS) {
        int above = 0;
        if (job.top_k < CLASSES)
            for (int other = 0; other < CLASSES; ++other) above += w.logits[other] > w.logits[q];
        const double below = (double)w.logits[q] - most;
        const double odds = job.temperature > 0 ? exp(below / job.temperature) : below == 0;
        w.odds[q] = above < job.top_k ? odds : 0;
    }
    __syncthreads();
    if (job.top_p < 1) {
        double total = 0;
        for (int q = lane; q < CLASSES; q += 32) total += w.odds[q];
        total = warp_sum(total);
        for (int q = threadIdx.x; q < CLASSES; q += THREADS) {
            double likelier = 0;
            for (int other = 0; other < CLASSES; ++other)
                if (w.odds[other] > w.odds[q] || (w.odds[other] == w.odds[q] && other < q)) likelier += w.odds[other];
            w.beyond[q] = likelier >= job.top_p * total;
        }
        __syncthreads();
        for (int q = threadIdx.x; q < CLASSES; q += THREADS)
            if (w.beyond[q]) w.odds[q] = 0;
        __syncthreads();
    }
    if (threadIdx.x < 32) {  // a lane has eight neighbours
        const double* mine = w.odds + lane * 8;
        double before = 0;
        for (int i = 0; i < 8; ++i) before += mine[i];
        const double own = before;
        for (int apart = 1; apart < 32; apart *= 2) {
            const double other = __shfl_up_sync(~0u, before, apart);
            if (lane >= apart) before += other;
        }
        // at temperature 0 the first of the likeliest
        const double wanted = (job.temperature > 0 ? uniform : 0) * __shfl_sync(~0u, before, 31);
        before -= own;
        int code = 0;
        for (int i = 0; i < 8; ++i) code += (before += mine[i]) <= wanted;
        code = warp_sum(code);
        if (lane == 0) w.codes[time % 256] = code < CLASSES ? code : CLASSES - 1;
    }
    __syncthreads();
}

__device__ void receive_logits(const Job& job, const Operation& last, unsigned time, float* copy, bool& stuck) {
    for (int q = threadIdx.x; q < CLASSES; q += THREADS) {
        const Target& to = entry<Target>(table(job), job.targets, last.targets + q / WIDTH);
        const Packet* from = job.packets + to.packets + (time & to.mask) * WIDTH + q % WIDTH;
        const float value = receive(job, load_packet(from), from, time, stuck);
        work().logits[q] = value;
        if (blockIdx.x == 0) copy[q] = value;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) sample(const Job job) {
    for (int i = threadIdx.x; i < job.table_size; i += THREADS) table(job)[i] = job.table[i];
    for (int i = threadIdx.x; i < job.frames_size; i += THREADS) frames()[i] = 0;
    for (int q = threadIdx.x; q < CLASSES; q += THREADS) work().logits[q] = job.logits[q];
    for (int k = threadIdx.x; k < job.kernel; k += THREADS)
        work().codes[(job.time - (job.kernel - 1 - k)) % 256] = job.history[k];
    __syncthreads();
    bool stuck = false;
    fetch(job, job.table, job.fills, job.fill_count, job.time, stuck);
    look_up_older(job, job.time + 1);
    __syncthreads();
    for (int i = 0; i < job.samples; ++i) {
        const unsigned time = job.time + 1 + i;
        draw(job, job.uniform[i], time);
        if (blockIdx.x + threadIdx.x == 0) job.codes[i] = work().codes[time % 256];
        look_up_newest(job, time);
        const int zeros = __ffs(time) - 1, pattern = zeros < job.pattern_count ? zeros : job.pattern_count - 1;
        const int* patterns = table(job) + job.patterns + pattern;
        const Operation* op = nullptr;
        for (int n = patterns[0]; n < patterns[1]; ++n) {
            op = &entry<Operation>(table(job), job.operations, table(job)[job.order + n]);
            run(job, *op, time, stuck);
        }
        look_up_older(job, time + 1);
        receive_logits(job, *op, time, job.logits + (i + 1) * CLASSES, stuck);
        if (__syncthreads_or(stuck)) return;
    }
}
