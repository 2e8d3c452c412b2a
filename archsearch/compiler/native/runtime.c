/* Matrix products for recurrent layers: few rows against a matrix that is packed once per sequence, and many rows.

   Written against vectors of the compiler, not of one processor. A tile of ROWS x 2 vectors stays in registers while
   the inner dimension runs; see Goto & van de Geijn 2008, Anatomy of high-performance matrix multiplication. */

#include "vector.h"
#include "runtime.h"

#include <string.h>

#if defined(__AVX512F__) || defined(__aarch64__)
#define MAX_ROWS 14 /* 14 x 2 accumulators, 2 columns, 1 row value: 31 of 32 registers */
#else
#define MAX_ROWS 6 /* 15 of 16 registers */
#endif

#if MAX_ROWS > 6
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14)
#else
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#endif

/* One tile: [rows, width * LANES] of c; a begins `offset` numbers behind its address. */
typedef void (*Tile)(long k, long parts, const REAL *const *a, long offset, long lda, const REAL *packed, REAL *c,
                     long ldc, const REAL *init, long ldi, const REAL *bias);

static long width_of(long filled) { return filled <= LANES ? LANES : PANEL; }

#ifdef __has_builtin /* gcc 10 and clang; nothing older can be asked */
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE 1
#endif
#endif
#ifdef HAS_SHUFFLE
#if VECTOR_BYTES / REAL_BYTES == 16
#define OF_LANES(OF, S)                                                                                                \
    OF(S, 0), OF(S, 1), OF(S, 2), OF(S, 3), OF(S, 4), OF(S, 5), OF(S, 6), OF(S, 7), OF(S, 8), OF(S, 9), OF(S, 10),     \
        OF(S, 11), OF(S, 12), OF(S, 13), OF(S, 14), OF(S, 15)
#elif VECTOR_BYTES / REAL_BYTES == 8
#define OF_LANES(OF, S) OF(S, 0), OF(S, 1), OF(S, 2), OF(S, 3), OF(S, 4), OF(S, 5), OF(S, 6), OF(S, 7)
#elif VECTOR_BYTES / REAL_BYTES == 4
#define OF_LANES(OF, S) OF(S, 0), OF(S, 1), OF(S, 2), OF(S, 3)
#else
#define OF_LANES(OF, S) OF(S, 0), OF(S, 1)
#endif
/* Lanes whose number has the bit S change places between two vectors that are S apart: one step of a transposition. */
#define LOWER(S, LANE) ((LANE) & (S) ? (LANE) - (S) + LANES : (LANE))
#define UPPER(S, LANE) ((LANE) & (S) ? (LANE) + LANES : (LANE) + (S))
#define EXCHANGE(S)                                                                                                    \
    _Pragma("GCC unroll 16") for (long i = 0; i < LANES; i++) if (!(i & (S))) {                                        \
        const Vector a = v[i], b = v[(i + (S)) % LANES];                                                               \
        v[i] = __builtin_shufflevector(a, b, OF_LANES(LOWER, S));                                                      \
        v[(i + (S)) % LANES] = __builtin_shufflevector(a, b, OF_LANES(UPPER, S));                                      \
    }

/* to [row][column] = from [column][row], LANES of each */
static inline void transpose_square(const REAL *from, long ld, REAL *to, long width) {
    Vector v[LANES];
    _Pragma("GCC unroll 16") for (long i = 0; i < LANES; i++) {
        __builtin_prefetch(from + i * ld + 2 * LANES); /* two squares further: three quarters of the time at H = 512 */
        v[i] = load_loose(from + i * ld);
    }
#if VECTOR_BYTES / REAL_BYTES > 8
    EXCHANGE(8)
#endif
#if VECTOR_BYTES / REAL_BYTES > 4
    EXCHANGE(4)
#endif
#if VECTOR_BYTES / REAL_BYTES > 2
    EXCHANGE(2)
#endif
    EXCHANGE(1)
    _Pragma("GCC unroll 16") for (long i = 0; i < LANES; i++)
        store_loose(to + i * width, v[i]);
}
#else
#define HAS_SHUFFLE 0
static inline void transpose_square(const REAL *from, long ld, REAL *to, long width) {}
#endif

/* to [rows, width] = the transpose of from [filled, rows], and zeros beyond it */
static void transpose_panel(long rows, long filled, long width, const REAL *from, long ld, REAL *to) {
    const long square_columns = HAS_SHUFFLE ? filled / LANES * LANES : 0, square_rows = rows / LANES * LANES;
    /* in blocks, so that every line of the source is read once while it is in the cache */
    for (long start = 0; start < rows; start += LANES) {
        const int is_square = start < square_rows;
        for (long column = 0; is_square && column < square_columns; column += LANES)
            transpose_square(from + column * ld + start, ld, to + start * width + column, width);
        for (long row = start; row < rows && row < start + LANES; row++) {
            for (long column = is_square ? square_columns : 0; column < filled; column++)
                to[row * width + column] = from[column * ld + row];
            for (long column = filled; column < width; column++)
                to[row * width + column] = 0;
        }
    }
}

static void pack_transposed(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts) {
    for (long first = 0; first < columns; first += PANEL) {
        const long filled = columns - first < PANEL ? columns - first : PANEL, width = width_of(filled);
        transpose_panel(rows, filled, width, w + first * ld, ld, packed + first * rows * parts + part * rows * width);
    }
}

/* Panels that are packed together, so that whole stretches of a row are read at once. */
#define PACKED_TOGETHER 4

static void pack(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts) {
    long first = 0;
    for (; first + PACKED_TOGETHER * PANEL <= columns; first += PACKED_TOGETHER * PANEL) {
        for (long row = 0; row < rows; row++) {
            const REAL *const from = w + row * ld + first;
            REAL *const to = packed + first * rows * parts + (part * rows + row) * PANEL;
            _Pragma("GCC unroll 8") for (long lane = 0; lane < PACKED_TOGETHER * PANEL; lane += LANES)
                store(to + lane / PANEL * PANEL * rows * parts + lane % PANEL, load_loose(from + lane));
        }
    }
    for (; first < columns; first += PANEL) {
        const long filled = columns - first < PANEL ? columns - first : PANEL, width = width_of(filled);
        const REAL *from = w + first;
        REAL *to = packed + first * rows * parts + part * rows * width;
        for (long row = 0; row < rows; row++, from += ld, to += width) {
            if (filled == width) {
                for (long lane = 0; lane < width; lane += LANES)
                    store(to + lane, load_loose(from + lane));
            } else {
                for (long column = 0; column < width; column++)
                    to[column] = column < filled ? from[column] : 0;
            }
        }
    }
}

/* Runs a tile whose columns c or init do not all have: on a copy. */
static void partial_tile(Tile tile, long rows, long filled, long width, long k, long parts, const REAL *const *a,
                         long offset, long lda, const REAL *packed, REAL *c, long ldc, const REAL *init, long ldi,
                         const REAL *bias) {
    REAL copy[MAX_ROWS * PANEL] __attribute__((aligned(64)));
    REAL bias_copy[PANEL] __attribute__((aligned(64)));
    for (long column = 0; column < width; column++)
        bias_copy[column] = bias && column < filled ? bias[column] : 0;
    for (long row = 0; init && row < rows; row++)
        for (long column = 0; column < width; column++)
            copy[row * width + column] = column < filled ? init[row * ldi + column] : 0;
    tile(k, parts, a, offset, lda, packed, copy, width, init ? copy : 0, width, bias ? bias_copy : 0);
    for (long row = 0; row < rows; row++)
        memcpy(c + row * ldc, copy + row * width, filled * sizeof(REAL));
}

/* Rows are dealt out as evenly as possible to tiles of at most MAX_ROWS. `row_step` is what one row means in a. */
static void multiply_panel(const Tile tiles[][2], long m, long filled, long width, int is_whole, long k, long parts,
                           const REAL *const *a, long offset, long lda, long row_step, const REAL *packed, REAL *c,
                           long ldc, const REAL *init, long ldi, const REAL *bias) {
    const long num_tiles = (m + MAX_ROWS - 1) / MAX_ROWS;
    long row = 0;
    for (long index = 0; index < num_tiles; index++) {
        const long rows = (m - row + num_tiles - index - 1) / (num_tiles - index);
        const Tile tile = tiles[rows - 1][width > LANES];
        const REAL *start = init ? init + row * ldi : 0;
        if (is_whole)
            tile(k, parts, a, offset + row * row_step, lda, packed, c + row * ldc, ldc, start, ldi, bias);
        else
            partial_tile(tile, rows, filled, width, k, parts, a, offset + row * row_step, lda, packed, c + row * ldc,
                         ldc, start, ldi, bias);
        row += rows;
    }
}

#define NAMED(name) name
#define MULTIPLY_ADD(sum, value, vector) sum += (value) * (vector)
#include "products.c"

static void multiply_bulk(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed, REAL *c,
                          long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded, REAL *work) {
    (void)work;
    multiply(m, n, k, parts, a, lda, packed, c, ldc, init, ldi, bias, is_padded);
}

/* What a sum of nothing leaves: an empty batch has gradients too. */
static void clear(long m, long n, long parts, REAL *const *c, long ldc) {
    for (long part = 0; part < parts; part++)
        for (long row = 0; c[part] && row < m; row++)
            memset(c[part] + row * ldc, 0, n * sizeof(REAL));
}

static void multiply_over_time(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *b, long ldb,
                               REAL *const *c, long ldc, REAL *work) {
    const long block = inner_block(k, n);
    if (k == 0)
        clear(m, n, parts, c, ldc);
    for (long start = 0; start < k; start += block) {
        const long inner = k - start < block ? k - start : block;
        pack(inner, n, b + start * ldb, ldb, work, 0, 1);
        for (long part = 0; part < parts; part++)
            if (c[part])
                multiply_transposed(m, n, inner, a[part] + start * lda, lda, work, c[part], ldc, start > 0);
    }
}

/* Columns whose sums are in registers together, so that whole stretches of a row are read at once. */
#define SUMMED 8

static void sum_rows(long m, long n, const REAL *a, long lda, REAL *sums) {
    long first = 0;
    for (; first + SUMMED * LANES <= n; first += SUMMED * LANES) {
        Vector even[SUMMED] = {0}, odd[SUMMED] = {0};
        for (long row = 0; row < m; row += 2)
            _Pragma("GCC unroll 8") for (long i = 0; i < SUMMED; i++) {
                even[i] += load_loose(a + row * lda + first + i * LANES);
                if (row + 1 < m)
                    odd[i] += load_loose(a + (row + 1) * lda + first + i * LANES);
            }
        for (long i = 0; i < SUMMED; i++)
            store_loose(sums + first + i * LANES, even[i] + odd[i]);
    }
    for (; first < n; first += LANES) {
        const long filled = n - first < LANES ? n - first : LANES;
        if (filled == LANES) {
            Vector even = (Vector){0}, odd = (Vector){0};
            for (long row = 0; row < m; row += 2) {
                even += load_loose(a + row * lda + first);
                if (row + 1 < m)
                    odd += load_loose(a + (row + 1) * lda + first);
            }
            store_loose(sums + first, even + odd);
        } else {
            for (long column = first; column < n; column++) {
                REAL sum = 0;
                for (long row = 0; row < m; row++)
                    sum += a[row * lda + column];
                sums[column] = sum;
            }
        }
    }
}

static void copy(long m, long n, const REAL *a, long lda, REAL *c, long ldc) {
    if (lda == n && ldc == n) { /* without gaps one long row */
        memcpy(c, a, m * n * sizeof(REAL));
        return;
    }
    for (long row = 0; row < m; row++) {
        memcpy(c + row * ldc, a + row * lda, n * sizeof(REAL));
        if (n < ldc)
            memset(c + row * ldc + n, 0, (ldc - n) * sizeof(REAL));
    }
}

static void copy_rows(long m, long n, const REAL *a, long lda, REAL *c, long ldc) {
    for (long row = 0; row < m; row++)
        memcpy(c + row * ldc, a + row * lda, n * sizeof(REAL));
}

static void add(long m, long n, const REAL *a, long lda, REAL *c, long ldc) {
    for (long row = 0; row < m; row++)
        for (long column = 0; column < n; column++)
            c[row * ldc + column] += a[row * lda + column];
}

static void fill(long n, REAL value, REAL *c) {
    for (long i = 0; i < n; i++)
        c[i] = value;
}

/* As few as let the logits stay in a cache would read the packed weights too often. */
#define FULL_READOUT_ROWS 336

static long kept_numbers(long rows, long v) { return rows * ROUND_UP(v, LANES); }

static REAL *logits_at(REAL *kept, long first, long rows, long v) { return kept + first * ROUND_UP(v, LANES); }

static void add_to_sums(long i, long v, Vector value, REAL *sums) {
    if (i + LANES <= v)
        store_loose(sums + i, load_loose(sums + i) + value);
    else
        for (long lane = 0; i + lane < v; lane++)
            sums[i + lane] += value[lane];
}

static void keep(long v, REAL *one, REAL factor, REAL *other, REAL other_factor, long row, long rows, REAL *kept, REAL *sums) {
    for (long i = 0; i < v; i += LANES) {
        Vector sum = load(one + i) * factor;
        store(one + i, sum);
        if (other) {
            const Vector second = load(other + i) * other_factor;
            store(other + i, second);
            sum += second;
        }
        add_to_sums(i, v, sum, sums);
    }
}

static void multiply_kept(long first, long count, long rows, long v, long n, REAL *kept, const REAL *packed, REAL *c, long ldc,
                          REAL *work) {
    const REAL *a = logits_at(kept, first, rows, v);
    multiply_bulk(count, n, v, 1, &a, ROUND_UP(v, LANES), packed, c, ldc, 0, 0, 0, 0, work);
}

static void multiply_kept_over_time(long rows, long v, long n, REAL *kept, const REAL *b, long ldb, REAL *c, long ldc,
                                    REAL *work) {
    const REAL *a = kept;
    multiply_over_time(v, n, rows, 1, &a, ROUND_UP(v, LANES), b, ldb, &c, ldc, work);
}

const Runtime runtime = {pack_transposed,
                         pack,
                         multiply,
                         pack_transposed,
                         pack,
                         multiply_bulk,
                         multiply_over_time,
                         sum_rows,
                         copy,
                         copy_rows,
                         add,
                         fill,
                         FULL_READOUT_ROWS,
                         kept_numbers,
                         logits_at,
                         keep,
                         multiply_kept,
                         multiply_kept_over_time};

#if defined(__AVX512BF16__) && REAL_BYTES == 4
#include "bfloat16.c"
#endif

#include "ends.c"
