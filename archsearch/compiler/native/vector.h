/* Vectors of REAL, and the functions that cells apply to them.

   Compiled with -DREAL=float or double, -DINTEGER the signed integer of the same size and -DREAL_BYTES that size. No
   system header: including one costs more time than compiling a cell. Nothing here assumes that numbers are finite: NaN
   and infinities come out as torch's functions give them. */

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16 /* SSE, NEON, and whatever the compiler makes of it elsewhere */
#endif
#define LANES ((long)(VECTOR_BYTES / sizeof(REAL)))

typedef REAL Vector __attribute__((vector_size(VECTOR_BYTES)));
typedef INTEGER Integers __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL LooseVector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

#define IS_FLOAT (REAL_BYTES == 4)
#define MANTISSA_BITS (IS_FLOAT ? 23 : 52)
#define EXPONENT_BIAS (IS_FLOAT ? 127 : 1023)

static inline Vector load(const REAL *from) { return *(const Vector *)from; }
static inline void store(REAL *to, Vector value) { *(Vector *)to = value; }
static inline Vector load_loose(const REAL *from) { return *(const LooseVector *)from; }
static inline void store_loose(REAL *to, Vector value) { *(LooseVector *)to = value; }
static inline Vector splat(REAL value) { return value - (Vector){0}; }

/* mask: all bits of a lane set or none */
static inline Vector choose(Integers mask, Vector yes, Vector no) {
    return (Vector)((mask & (Integers)yes) | (~mask & (Integers)no));
}

/* 2^n for |n| <= the exponent's bias - 1 */
static inline Vector power_of_two(Integers n) { return (Vector)((n + EXPONENT_BIAS) << MANTISSA_BITS); }

/* Splits y = n ln 2 + r, |r| <= ln(2)/2, and returns exp(r) - 1 by its Taylor series: the first term left out is below
   half a unit in the last place of 1 (r^9/9! < 3e-10 for float, r^14/14! < 5e-18 for double). y must be NaN or within
   +-1,500 (double) or +-190 (float); NaN comes out as NaN, with any n. */
static inline Vector exp_minus_one_reduced(Vector y, Integers *n) {
    const REAL shift = IS_FLOAT ? (REAL)12582912.0 : (REAL)6755399441055744.0; /* 1.5 * 2^mantissa: rounds to integers */
    const Vector rounded = (y * (REAL)1.4426950408889634074 + shift) - shift;
    const REAL ln2_high = IS_FLOAT ? (REAL)0x1.62ep-1 : (REAL)0x1.62e42fefp-1; /* few bits: n * it is exact */
    const REAL ln2_low = IS_FLOAT ? (REAL)0x1.0bfbe8e7bcd5ep-15 : (REAL)0x1.473de6af278edp-34;
    const Vector r = (y - rounded * ln2_high) - rounded * ln2_low;
    Vector p;
    if (IS_FLOAT) {
        p = splat((REAL)(1.0 / 40320));
    } else {
        p = r * (REAL)(1.0 / 6227020800.0) + (REAL)(1.0 / 479001600.0);
        p = p * r + (REAL)(1.0 / 39916800.0);
        p = p * r + (REAL)(1.0 / 3628800.0);
        p = p * r + (REAL)(1.0 / 362880.0);
        p = p * r + (REAL)(1.0 / 40320.0);
    }
    p = p * r + (REAL)(1.0 / 5040);
    p = p * r + (REAL)(1.0 / 720);
    p = p * r + (REAL)(1.0 / 120);
    p = p * r + (REAL)(1.0 / 24);
    p = p * r + (REAL)(1.0 / 6);
    p = p * r + (REAL)0.5;
    *n = __builtin_convertvector(rounded, Integers);
    return p * (r * r) + r;
}

static inline Vector clamp(Vector value, REAL low, REAL high) { /* NaN stays */
    value = choose(value < low, splat(low), value);
    return choose(value > high, splat(high), value);
}

/* e^y; overflows to infinity and underflows to 0 where the true value does */
static inline Vector exponential(Vector y) {
    const REAL bound = IS_FLOAT ? (REAL)150 : (REAL)1400; /* beyond it the result is infinite or 0 in any case */
    Integers n;
    const Vector p = exp_minus_one_reduced(clamp(y, -bound, bound), &n);
    const Integers half = n >> 1; /* two factors, as 2^n alone may be out of range where the result is not */
    return (p + 1) * power_of_two(half) * power_of_two(n - half);
}

static inline Vector sigmoid(Vector value) { return 1 / (1 + exponential(-value)); }

/* e/(e + 2) with e = exp(2 x) - 1, exact near 0 too; from |x| = 20 on (float: 10) the result is 1 in any case */
static inline Vector tanh_(Vector value) {
    const REAL bound = IS_FLOAT ? (REAL)20 : (REAL)40;
    Integers n;
    const Vector p = exp_minus_one_reduced(clamp(value + value, -bound, bound), &n);
    const Vector power = power_of_two(n);
    const Vector e = power * p + (power - 1);
    return e / (e + 2);
}

static inline Vector relu(Vector value) { return choose(value <= 0, (Vector){0}, value); }
#define LEAKY_SLOPE ((REAL)0.01)
static inline Vector leaky_relu(Vector value) { return choose(value > 0, value, value * LEAKY_SLOPE); }
static inline Vector leaky_where_positive(Vector result, Vector gradient) {
    return choose(result > 0, gradient, gradient * LEAKY_SLOPE);
}
static inline Vector where_positive(Vector result, Vector gradient) { return choose(result <= 0, (Vector){0}, gradient); }
