// The operations between two matrix products, each in one pass over memory. Values are f32, bf16 or
// f16 in memory and f32 in between. Compiled when a card is opened, without any header.

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct F32 {
    typedef float Value;
    static __device__ __forceinline__ float load(const Value *p, u64 i) { return p[i]; }
    static __device__ __forceinline__ void store(Value *p, u64 i, float x) { p[i] = x; }
};

struct Bf16 {
    typedef u16 Value;
    static __device__ __forceinline__ float load(const Value *p, u64 i) {
        return __uint_as_float((u32)p[i] << 16);
    }
    // To the nearest, halves to even; a NaN stays one.
    static __device__ __forceinline__ void store(Value *p, u64 i, float x) {
        u32 bits = __float_as_uint(x);
        if ((bits & 0x7fffffffu) > 0x7f800000u) {
            p[i] = (u16)((bits >> 16) | 0x40u);
        } else {
            p[i] = (u16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
        }
    }
};

struct F16 {
    typedef u16 Value;
    static __device__ __forceinline__ float load(const Value *p, u64 i) {
        float x;
        asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(p[i]));
        return x;
    }
    static __device__ __forceinline__ void store(Value *p, u64 i, float x) {
        u16 bits;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
        p[i] = bits;
    }
};

static __device__ __forceinline__ float warp_sum(float x) {
    for (int away = 16; away > 0; away >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, away);
    }
    return x;
}

// Of a block of up to 1024 threads, known to all of them.
static __device__ __forceinline__ float block_sum(float x) {
    __shared__ float parts[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    x = warp_sum(x);
    if (lane == 0) {
        parts[warp] = x;
    }
    __syncthreads();
    return warp_sum(lane < (int)(blockDim.x >> 5) ? parts[lane] : 0.f);
}

// One block a row: x / rms(x) * weight * (1 + scale) + shift. `modulation` holds shift, then scale.
template <typename D>
static __device__ void rms_norm_modulate(const typename D::Value *x, const typename D::Value *weight,
                                         const typename D::Value *modulation,
                                         typename D::Value *out, u32 h, float eps) {
    u64 row = (u64)blockIdx.x * h;
    float squares = 0.f;
    for (u32 i = threadIdx.x; i < h; i += blockDim.x) {
        float value = D::load(x, row + i);
        squares += value * value;
    }
    float inverse = rsqrtf(block_sum(squares) / (float)h + eps);
    for (u32 i = threadIdx.x; i < h; i += blockDim.x) {
        float gain = D::load(weight, i) * (1.f + D::load(modulation, h + i));
        D::store(out, row + i, D::load(x, row + i) * inverse * gain + D::load(modulation, i));
    }
}

// One warp a head of a position: [b, l, heads, d] to [b, heads, l, d], normed by its rms and, where
// there is a table of cosines and sines [l, d], turned.
template <typename D>
static __device__ void split_heads(const typename D::Value *x, const typename D::Value *weight,
                                   const typename D::Value *table, typename D::Value *out, u32 rows,
                                   u32 l, u32 heads, u32 d, float eps, u32 turned) {
    u32 row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (row >= rows) {
        return;
    }
    u32 lane = threadIdx.x & 31, half = d >> 1;
    u32 head = row % heads, position = row / heads % l, item = row / heads / l;
    u64 from = (u64)row * d;
    u64 to = (((u64)item * heads + head) * l + position) * d;
    u64 angles = (u64)position * d;
    float squares = 0.f;
    for (u32 i = lane; i < d; i += 32) {
        float value = D::load(x, from + i);
        squares += value * value;
    }
    float inverse = rsqrtf(warp_sum(squares) / (float)d + eps);
    for (u32 i = lane; i < half; i += 32) {
        float a = D::load(x, from + i) * inverse * D::load(weight, i);
        float b = D::load(x, from + half + i) * inverse * D::load(weight, half + i);
        float cosine = 1.f, sine = 0.f;
        if (turned) {
            cosine = D::load(table, angles + i);
            sine = D::load(table, angles + half + i);
        }
        D::store(out, to + i, a * cosine - b * sine);
        D::store(out, to + half + i, a * sine + b * cosine);
    }
}

// silu(gate) * up
template <typename D>
static __device__ void swiglu(const typename D::Value *gate, const typename D::Value *up,
                              typename D::Value *out, u64 n) {
    u64 all = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += all) {
        float value = D::load(gate, i);
        D::store(out, i, value / (1.f + expf(-value)) * D::load(up, i));
    }
}

// x + y * gate, the gate one row for all.
template <typename D>
static __device__ void add_gated(const typename D::Value *x, const typename D::Value *y,
                                 const typename D::Value *gate, typename D::Value *out, u64 n, u32 h) {
    u64 all = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += all) {
        D::store(out, i, D::load(x, i) + D::load(y, i) * D::load(gate, i % h));
    }
}

// x + sin(alpha x)^2 * inverse_beta, one pair a channel; blocks along y are channels.
template <typename D>
static __device__ void snake(const typename D::Value *x, const float *alpha, const float *inverse_beta,
                             typename D::Value *out, u32 channels, u32 n) {
    u64 row = (u64)blockIdx.y * n;
    float a = alpha[blockIdx.y % channels], b = inverse_beta[blockIdx.y % channels];
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float value = D::load(x, row + i);
        float sine = sinf(a * value);
        D::store(out, row + i, value + sine * sine * b);
    }
}

// The sum of a transposed convolution's products [b, out, taps, stride, n] at their places, and the
// bias: [b, out, out_len]. Blocks along y are rows of the output.
template <typename D>
static __device__ void gather_taps(const typename D::Value *columns, const typename D::Value *bias,
                                   typename D::Value *out, u32 channels, u32 taps, u32 stride, u32 n,
                                   u32 padding, u32 out_len) {
    u64 first = (u64)blockIdx.y * taps * stride * n;
    float base = D::load(bias, blockIdx.y % channels);
    for (u32 m = blockIdx.x * blockDim.x + threadIdx.x; m < out_len; m += gridDim.x * blockDim.x) {
        u32 place = (m + padding) / stride, phase = (m + padding) % stride;
        float sum = base;
        for (u32 tap = 0; tap < taps; tap++) {
            // A tap before the first input or behind the last one wraps beyond n.
            u32 i = place - tap;
            if (i < n) {
                sum += D::load(columns, first + ((u64)tap * stride + phase) * n + i);
            }
        }
        D::store(out, (u64)blockIdx.y * out_len + m, sum);
    }
}

// What each tap of a convolution sees: [rows / kernel, n] to [rows, out_len], where a row is an input
// channel and a tap, and zeros stand before the first input and behind the last.
template <typename D>
static __device__ void unfold(const typename D::Value *x, typename D::Value *out, u32 rows, u32 kernel,
                              u32 n, u32 first, u32 out_len, u32 stride, u32 dilation, u32 padding) {
    for (u32 row = blockIdx.y; row < rows; row += gridDim.y) {
        u64 from = (u64)(row / kernel) * n, to = (u64)row * out_len;
        u32 tap = row % kernel * dilation;
        for (u32 m = blockIdx.x * blockDim.x + threadIdx.x; m < out_len; m += gridDim.x * blockDim.x) {
            // A place before the first input wraps beyond n.
            u32 i = (first + m) * stride + tap - padding;
            D::store(out, to + m, i < n ? D::load(x, from + i) : 0.f);
        }
    }
}

// y + bias, one a row of [channels], and the residual where there is one.
template <typename D>
static __device__ void add_bias(const typename D::Value *y, const typename D::Value *bias,
                                const typename D::Value *residual, typename D::Value *out, u32 channels,
                                u32 n, u32 added) {
    u64 row = (u64)blockIdx.y * n;
    float base = D::load(bias, blockIdx.y % channels);
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float value = D::load(y, row + i) + base;
        D::store(out, row + i, added ? value + D::load(residual, row + i) : value);
    }
}

#define FOR(D, name)                                                                                \
    extern "C" __global__ void rms_norm_modulate_##name(const D::Value *x, const D::Value *weight,  \
                                                        const D::Value *modulation, D::Value *out,  \
                                                        u32 h, float eps) {                         \
        rms_norm_modulate<D>(x, weight, modulation, out, h, eps);                                   \
    }                                                                                               \
    extern "C" __global__ void split_heads_##name(const D::Value *x, const D::Value *weight,        \
                                                  const D::Value *table, D::Value *out, u32 rows,   \
                                                  u32 l, u32 heads, u32 d, float eps, u32 turned) { \
        split_heads<D>(x, weight, table, out, rows, l, heads, d, eps, turned);                      \
    }                                                                                               \
    extern "C" __global__ void swiglu_##name(const D::Value *gate, const D::Value *up,              \
                                             D::Value *out, u64 n) {                                \
        swiglu<D>(gate, up, out, n);                                                                \
    }                                                                                               \
    extern "C" __global__ void add_gated_##name(const D::Value *x, const D::Value *y,               \
                                                const D::Value *gate, D::Value *out, u64 n, u32 h) {\
        add_gated<D>(x, y, gate, out, n, h);                                                        \
    }                                                                                               \
    extern "C" __global__ void snake_##name(const D::Value *x, const float *alpha,                  \
                                            const float *inverse_beta, D::Value *out, u32 channels, \
                                            u32 n) {                                                \
        snake<D>(x, alpha, inverse_beta, out, channels, n);                                         \
    }                                                                                               \
    extern "C" __global__ void gather_taps_##name(const D::Value *columns, const D::Value *bias,    \
                                                  D::Value *out, u32 channels, u32 taps, u32 stride,\
                                                  u32 n, u32 padding, u32 out_len) {                \
        gather_taps<D>(columns, bias, out, channels, taps, stride, n, padding, out_len);            \
    }                                                                                               \
    extern "C" __global__ void unfold_##name(const D::Value *x, D::Value *out, u32 rows, u32 kernel,\
                                             u32 n, u32 first, u32 out_len, u32 stride,             \
                                             u32 dilation, u32 padding) {                           \
        unfold<D>(x, out, rows, kernel, n, first, out_len, stride, dilation, padding);              \
    }                                                                                               \
    extern "C" __global__ void add_bias_##name(const D::Value *y, const D::Value *bias,             \
                                               const D::Value *residual, D::Value *out,             \
                                               u32 channels, u32 n, u32 added) {                    \
        add_bias<D>(y, bias, residual, out, channels, n, added);                                    \
    }

FOR(F32, f32)
FOR(Bf16, bf16)
FOR(F16, f16)
