// The kernel's own source on a CPU: its threads are fibers, which take turns in an order that the seed decides.
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#define EMULATED
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define SPINS 40960

struct uint4 {
    unsigned x, y, z, w;
};
struct float4 {
    float x, y, z, w;
};
struct Index {
    unsigned x;
};

struct Barrier {
    int arrived = 0, turn = 0;
};

struct Warp {
    Barrier barrier;
    double values[2][32];
};

struct Block {
    Barrier barrier;
    std::vector<Warp> warps;
    std::vector<unsigned char> memory;
    bool any = false;
};

struct Fiber {
    ucontext_t context;  // to begin with; jumps are quicker
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    Index thread, block;
    const Barrier* waits = nullptr;  // for its turn to be over
    int turn = 0, shuffles = 0;
    bool begun = false, done = false;
};

static jmp_buf scheduler;
static std::vector<Block> blocks;
static Fiber* self;
static Index threadIdx, blockIdx, gridDim;
static unsigned char* memory;

static void yield() {
    if (!_setjmp(self->place)) _longjmp(scheduler, 1);
}

static void resume(Fiber& fiber) {
    self = &fiber;
    threadIdx = fiber.thread;
    blockIdx = fiber.block;
    memory = blocks[blockIdx.x].memory.data();
    if (_setjmp(scheduler)) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}

static void meet(Barrier& barrier, int size) {
    if (++barrier.arrived == size) {
        barrier.arrived = 0;
        ++barrier.turn;
        return;
    }
    self->waits = &barrier;
    self->turn = barrier.turn;
    yield();
    self->waits = nullptr;
}

static void __syncthreads() { meet(blocks[blockIdx.x].barrier, THREADS); }

static bool __syncthreads_or(bool x) {
    blocks[blockIdx.x].any |= x;  // the kernel ends where it is true
    __syncthreads();
    return blocks[blockIdx.x].any;
}

template <class T>
static T exchange(T x, int from) {
    Warp& warp = blocks[blockIdx.x].warps[threadIdx.x / 32];
    double* values = warp.values[self->shuffles++ % 2];
    values[threadIdx.x % 32] = x;
    meet(warp.barrier, 32);
    return values[from];
}

template <class T>
static T __shfl_xor_sync(unsigned, T x, int apart) {
    return exchange(x, threadIdx.x % 32 ^ apart);
}
template <class T>
static T __shfl_up_sync(unsigned, T x, int apart) {
    const int lane = threadIdx.x % 32;
    return exchange(x, lane < apart ? lane : lane - apart);
}
template <class T>
static T __shfl_sync(unsigned, T x, int from) {
    return exchange(x, from);
}

static int min(int x, int y) { return x < y ? x : y; }
static int __ffs(int x) { return __builtin_ffs(x); }
#define __expf(x) std::exp(x)  // a name that the C library has taken
static float rsqrtf(float x) { return 1 / std::sqrt(x); }
static float __fdividef(float x, float y) { return x / y; }
template <class To, class From>
static To bits(From x) {
    To to;
    std::memcpy(&to, &x, sizeof to);
    return to;
}
static unsigned __float_as_uint(float x) { return bits<unsigned>(x); }
static float __uint_as_float(unsigned x) { return bits<float>(x); }
static unsigned long long load_packet(const unsigned long long* from) {
    yield();
    return *from;
}
static void store_packet(unsigned long long* to, unsigned long long packet) {
    *to = packet;
    yield();
}
static uint4 load_weights(const uint4* from) { return *from; }

#include KERNEL

static const Job* current;

static void begin() {
    sample(*current);
    self->done = true;
    yield();
}

extern "C" int job_size() { return sizeof(Job); }

extern "C" int row_size(int kind) {
    return (kind == 0 ? sizeof(Segment) : kind == 1 ? sizeof(Target) : sizeof(Operation)) / sizeof(int);
}

// 0, or 1 where a thread has written beyond its shared memory, whose numbers are not-a-number at first.
extern "C" int emulate(const Job* job, int count, int shared, unsigned seed) {
    constexpr int STACK = 1 << 16, GUARD = 64;
    current = job;
    gridDim = {(unsigned)count};
    blocks = std::vector<Block>(count);
    std::vector<Fiber> fibers(count * THREADS);
    for (int b = 0; b < count; ++b) {
        blocks[b].warps.resize(WARPS);
        blocks[b].memory.assign(shared + GUARD, 0xff);
    }
    for (int i = 0; i < (int)fibers.size(); ++i) {
        Fiber& fiber = fibers[i];
        fiber.thread = {(unsigned)i % THREADS};
        fiber.block = {(unsigned)i / THREADS};
        fiber.stack.reset(new char[STACK]);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        makecontext(&fiber.context, begin, 0);
    }
    for (bool going = true; going;) {
        going = false;
        for (int b = 0; b < count; ++b) {
            seed = seed * 1664525 + 1013904223;
            const bool paused = seed >> 31;  // so that blocks run ahead of each other
            for (int n = 0; n < THREADS; ++n) {
                Fiber& fiber = fibers[b * THREADS + (n * 7 + (seed >> 16)) % THREADS];
                going |= !fiber.done;
                if (!paused && !fiber.done && !(fiber.waits && fiber.waits->turn == fiber.turn)) resume(fiber);
            }
        }
    }
    for (const Block& block : blocks)
        for (int i = shared; i < shared + GUARD; ++i)
            if (block.memory[i] != 0xff) return 1;
    return 0;
}
