/* Products whose factors are rounded to bfloat16 and whose sums are float: twice as many multiplications per instruction.

   A number of the inner dimension is a pair of neighbours, two bfloat16 in the place of one float; with that the tiles
   and the panels are those of float. Needs AVX512-BF16. */

#define NAMED(name) name##_pairs
#define MULTIPLY_ADD(sum, value, vector)                                                                               \
    do {                                                                                                               \
        const Vector pairs = splat_bits(value);                                                                        \
        Vector total = sum; /* an array given to the instruction would not stay in registers */                        \
        __asm__("vdpbf16ps %2, %1, %0" : "+v"(total) : "v"(pairs), "v"(vector));                                       \
        sum = total;                                                                                                   \
    } while (0)

/* a copy in all lanes, bit by bit: as a number it may be anything */
static inline Vector splat_bits(REAL value) {
    const union {
        REAL real;
        INTEGER bits;
    } same = {value};
    return (Vector)(same.bits - (Integers){0});
}

#include "products.c"

#define HALF(k) (((k) + 1) / 2)

typedef unsigned short Halves __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef unsigned short LooseHalves __attribute__((vector_size(VECTOR_BYTES / 2), aligned(2), may_alias));
typedef unsigned int Words __attribute__((vector_size(VECTOR_BYTES)));

/* numbers rounded to bfloat16, to nearest and ties to even; NaN stays NaN, and what is no normal number becomes 0, as the
   multiplication would take it in any case */
static inline Halves rounded(Vector value) {
    Halves result;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(result) : "v"(value));
    return result;
}

static inline Vector paired(Halves low, Halves high) {
    return (Vector)(__builtin_convertvector(low, Words) | (__builtin_convertvector(high, Words) << 16));
}

/* one vector of pairs: low from `first`, high from `second`, of which `filled` lanes are there */
static inline Vector pair_up(const REAL *first, const REAL *second, long filled) {
    if (filled >= LANES)
        return paired(rounded(load_loose(first)), second ? rounded(load_loose(second)) : (Halves){0});
    REAL low[LANES] __attribute__((aligned(64))) = {0}, high[LANES] __attribute__((aligned(64))) = {0};
    memcpy(low, first, filled * sizeof(REAL));
    if (second)
        memcpy(high, second, filled * sizeof(REAL));
    return paired(rounded(load(low)), rounded(load(high)));
}

/* pairs [HALF(n)] of neighbours in a row of n numbers */
static void pair_along(long n, const REAL *from, REAL *pairs) {
    short *to = (short *)(void *)pairs;
    long i = 0;
    for (; i + LANES <= n; i += LANES)
        *(LooseHalves *)(to + i) = rounded(load_loose(from + i));
    if (i < n) {
        REAL last[LANES] __attribute__((aligned(64))) = {0};
        memcpy(last, from + i, (n - i) * sizeof(REAL));
        const Halves halves = rounded(load(last));
        memcpy(to + i, &halves, 2 * HALF(n - i) * sizeof(short));
    }
}

static void pack_pairs(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts) {
    const long half = HALF(rows);
    for (long first = 0; first < columns; first += PANEL) {
        const long filled = columns - first < PANEL ? columns - first : PANEL, width = width_of(filled);
        REAL *to = packed + first * half * parts + part * half * width;
        for (long row = 0; row < rows; row += 2, to += width) {
            const REAL *one = w + row * ld + first, *other = row + 1 < rows ? one + ld : 0;
            for (long lane = 0; lane < width; lane += LANES)
                store(to + lane, pair_up(one + lane, other ? other + lane : 0, filled - lane));
        }
    }
}

static void pack_transposed_pairs(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts) {
    const long half = HALF(rows);
    for (long first = 0; first < columns; first += PANEL) {
        const long filled = columns - first < PANEL ? columns - first : PANEL, width = width_of(filled);
        REAL *to = packed + first * half * parts + part * half * width;
        for (long start = 0; start < rows; start += 2 * LANES) {
            const long count = rows - start < 2 * LANES ? rows - start : 2 * LANES;
            REAL pairs[PANEL][LANES] __attribute__((aligned(64)));
            for (long column = 0; column < filled; column++)
                pair_along(count, w + (first + column) * ld + start, pairs[column]);
            transpose_panel(HALF(count), filled, width, pairs[0], LANES, to + start / 2 * width);
        }
    }
}

static void multiply_bulk_pairs(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed,
                                REAL *c, long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded,
                                REAL *work) {
    const long half = HALF(k);
    const long block = bulk_rows(half, parts);
    for (long start = 0; start < m; start += block) {
        const long rows = m - start < block ? m - start : block;
        const REAL *pairs[parts];
        for (long part = 0; part < parts; part++) {
            REAL *const to = work + part * rows * half;
            for (long row = 0; row < rows; row++)
                pair_along(k, a[part] + (start + row) * lda, to + row * half);
            pairs[part] = to;
        }
        multiply_pairs(rows, n, half, parts, pairs, half, packed, c + start * ldc, ldc, init ? init + start * ldi : 0,
                       ldi, bias, is_padded);
    }
}

static void multiply_over_time_pairs(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *b,
                                     long ldb, REAL *const *c, long ldc, REAL *work) {
    const long block = 2 * inner_block(HALF(k), n), padded_m = ROUND_UP(m, LANES);
    REAL *const pairs = work + block / 2 * ROUND_UP(n, LANES);
    if (k == 0)
        clear(m, n, parts, c, ldc);
    for (long start = 0; start < k; start += block) {
        const long inner = k - start < block ? k - start : block;
        pack_pairs(inner, n, b + start * ldb, ldb, work, 0, 1);
        for (long part = 0; part < parts; part++) {
            if (!c[part])
                continue;
            const REAL *const from = a[part] + start * lda;
            for (long row = 0; row < inner; row += 2)
                for (long lane = 0; lane < m; lane += LANES) {
                    const REAL *one = from + row * lda + lane, *other = row + 1 < inner ? one + lda : 0;
                    store(pairs + row / 2 * padded_m + lane, pair_up(one, other, m - lane));
                }
            multiply_transposed_pairs(m, n, HALF(inner), pairs, padded_m, work, c[part], ldc, start > 0);
        }
    }
}

/* What is kept of a readout: pairs of rows, for all of them; then, for as many as are taken at a time, pairs along each row,
   and the logits. So many rows of 10,000 logits stay in a cache of 1 MB. */
#define PAIRED_READOUT_ROWS 28

static REAL *along_in(REAL *kept, long rows, long v) { return kept + HALF(rows) * ROUND_UP(v, LANES); }

static long rows_at_once(long rows) { return rows < PAIRED_READOUT_ROWS ? rows : PAIRED_READOUT_ROWS; }

static REAL *logits_at_pairs(REAL *kept, long first, long rows, long v) {
    return along_in(kept, rows, v) + ROUND_UP(rows_at_once(rows) * ROUND_UP(v, LANES) / 2, LANES);
}

static long kept_numbers_pairs(long rows, long v) {
    return logits_at_pairs(0, 0, rows, v) - (REAL *)0 + rows_at_once(rows) * ROUND_UP(v, LANES);
}

static void keep_pairs(long v, REAL *one, REAL factor, REAL *other, REAL other_factor, long row, long rows, REAL *kept,
                       REAL *sums) {
    const long padded = ROUND_UP(v, LANES);
    REAL *const across = kept + row / 2 * padded;
    short *const along = (short *)(void *)(along_in(kept, rows, v) + row % PAIRED_READOUT_ROWS * (padded / 2));
    for (long i = 0; i < v; i += LANES) {
        const Vector value = load(one + i) * factor;
        const Vector second = other ? load(other + i) * other_factor : (Vector){0};
        const Halves low = rounded(value), high = rounded(second);
        store(across + i, paired(low, high));
        *(LooseHalves *)(along + i) = low;
        if (other)
            *(LooseHalves *)(along + padded + i) = high;
        add_to_sums(i, v, value + second, sums);
    }
}

static void multiply_kept_pairs(long first, long count, long rows, long v, long n, REAL *kept, const REAL *packed, REAL *c,
                                long ldc, REAL *work) {
    const REAL *a = along_in(kept, rows, v);
    multiply_pairs(count, n, HALF(v), 1, &a, ROUND_UP(v, LANES) / 2, packed, c, ldc, 0, 0, 0, 0);
}

static void multiply_kept_over_time_pairs(long rows, long v, long n, REAL *kept, const REAL *b, long ldb, REAL *c, long ldc,
                                          REAL *work) {
    const long block = 2 * inner_block(HALF(rows), n), padded = ROUND_UP(v, LANES);
    if (rows == 0)
        clear(v, n, 1, &c, ldc);
    for (long start = 0; start < rows; start += block) {
        const long inner = rows - start < block ? rows - start : block;
        pack_pairs(inner, n, b + start * ldb, ldb, work, 0, 1);
        multiply_transposed_pairs(v, n, HALF(inner), kept + start / 2 * padded, padded, work, c, ldc, start > 0);
    }
}

const Runtime runtime_bfloat16 = {pack_transposed,
                                  pack,
                                  multiply,
                                  pack_transposed_pairs,
                                  pack_pairs,
                                  multiply_bulk_pairs,
                                  multiply_over_time_pairs,
                                  sum_rows,
                                  copy,
                                  copy_rows,
                                  add,
                                  fill,
                                  PAIRED_READOUT_ROWS,
                                  kept_numbers_pairs,
                                  logits_at_pairs,
                                  keep_pairs,
                                  multiply_kept_pairs,
                                  multiply_kept_over_time_pairs};
