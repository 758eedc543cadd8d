// What Python calls; everything is compiled as this one file. Each returns 0, or 1 where memory or threads ran out.
#include "sequnet.h"
#include "wavenet.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

template <class Program, class Net>
static int run(const Net* net, const Job* job) {
    try {
        Program(*net, *job).run();
        return 0;
    } catch (const std::exception&) {
        return 1;
    }
}

extern "C" int sequnet_block(const SeqUNet* net, const Job* job) { return run<SeqUNetProgram>(net, job); }

extern "C" int wavenet_block(const WaveNet* net, const Job* job) { return run<WaveNetProgram>(net, job); }

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
