"""The CUDA C of minigrad, all of it: a text, compiled by CuPy when first used and by NVRTC in the tests.

Nothing is included, so that it compiles where no CUDA toolkit is installed. All loops are grid-strided: any launch
size is right.
"""

from __future__ import annotations

THREADS = 256

CUDA = r"""
typedef unsigned long long u64;
typedef long long i64;

#define EACH(i, n) u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < (u64)(n); i += (u64)gridDim.x * blockDim.x

__device__ __forceinline__ void philox(u64 c[4], u64 k0, u64 k1) {
    #pragma unroll
    for (int round = 0; round < 10; ++round) {
        u64 h0 = __umul64hi(c[0], 0xD2E7470EE14C6C93ull), l0 = c[0] * 0xD2E7470EE14C6C93ull;
        u64 h1 = __umul64hi(c[2], 0xCA5A826395121157ull), l1 = c[2] * 0xCA5A826395121157ull;
        u64 t1 = c[1], t3 = c[3];
        c[0] = h1 ^ t1 ^ k0; c[1] = l1; c[2] = h0 ^ t3 ^ k1; c[3] = l0;
        k0 += 0x9E3779B97F4A7C15ull; k1 += 0xBB67AE8584CAA73Bull;
    }
}

/* NumPy steps the 256-bit counter once before each block, the first included. */
__device__ __forceinline__ void block_of(u64 i, u64 k0, u64 k1, u64 c0, u64 c1, u64 c2, u64 c3, u64 *out) {
    u64 step = i + 1, c[4] = {c0 + step, c1, c2, c3};
    if (c[0] < step && ++c[1] == 0 && ++c[2] == 0) ++c[3];
    philox(c, k0, k1);
    #pragma unroll
    for (int j = 0; j < 4; ++j) out[4 * i + j] = c[j];
}

extern "C" __global__ void philox_words(u64 k0, u64 k1, u64 c0, u64 c1, u64 c2, u64 c3, u64 blocks, u64 *out) {
    for (EACH(i, blocks)) block_of(i, k0, k1, c0, c1, c2, c3, out);
}

/* The same with key and counter in device memory, for a step that is recorded once and replayed. */
extern "C" __global__ void philox_words_at(const u64 *key, const u64 *counter, u64 blocks, u64 *out) {
    for (EACH(i, blocks)) block_of(i, key[0], key[1], counter[0], counter[1], counter[2], counter[3], out);
}

/* A place inside the axis for every index, and the first bad one in fault: {1, op, index, axis, size}. */
extern "C" __global__ void check_index(const i64 *index, i64 n, i64 size, i64 op, i64 axis, i64 *safe, i64 *fault) {
    for (EACH(i, n)) {
        i64 k = index[i];
        bool bad = k < -size || k >= size;
        if (bad && atomicCAS((u64 *)fault, 0ull, 1ull) == 0ull) {
            fault[1] = op; fault[2] = k; fault[3] = axis; fault[4] = size;
        }
        safe[i] = bad ? 0 : k < 0 ? k + size : k;
    }
}

/* Rows of one place, brought together by a stable sort, are added in their order by one thread a column: no atomics,
   so the same sum to the last bit every time. place is sorted, order says where each row comes from. */
#define SEGMENT_SUM(name, T)                                                                                        \
extern "C" __global__ void name(const T *values, const i64 *order, const i64 *place, i64 n, i64 width, T *out) {    \
    for (EACH(t, n * width)) {                                                                                      \
        i64 i = t / width, column = t % width, at = place[i];                                                       \
        if (i > 0 && place[i - 1] == at) continue;                                                                  \
        double total = 0;                                                                                           \
        for (i64 j = i; j < n && place[j] == at; ++j) total += values[order[j] * width + column];                   \
        out[at * width + column] = (T)total;                                                                        \
    }                                                                                                               \
}
SEGMENT_SUM(segment_sum_f32, float)
SEGMENT_SUM(segment_sum_f64, double)
"""

NAMES = ("philox_words", "philox_words_at", "check_index", "segment_sum_f32", "segment_sum_f64")
"""Every kernel in the text, by the name under which it is launched."""
