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
#define INNER_BLOCK 512 /* inner dimension taken at a time where there are many rows: a panel stays in the cache */

/* One tile: [rows, width * LANES] of c. `step` is the distance between inner neighbours in a, `lda` between rows. */
typedef void (*Tile)(long k, long parts, const REAL *const *a, long offset, long lda, const REAL *packed, REAL *c,
                     long ldc, const REAL *init, long ldi, const REAL *bias);

#define DEFINE_TILE(NAME, ROWS, WIDTH, AT)                                                                             \
    static void NAME(long k, long parts, const REAL *const *a, long offset, long lda, const REAL *packed, REAL *c,     \
                     long ldc, const REAL *init, long ldi, const REAL *bias) {                                         \
        Vector sum[ROWS][WIDTH];                                                                                       \
        for (int j = 0; j < WIDTH; j++) {                                                                              \
            const Vector start = bias ? load_loose(bias + j * LANES) : (Vector){0};                                    \
            _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++)                                                    \
                sum[i][j] = init ? load_loose(init + i * ldi + j * LANES) + start : start;                             \
        }                                                                                                              \
        for (long part = 0; part < parts; part++) {                                                                    \
            const REAL *from = a[part] + offset;                                                                       \
            for (long inner = 0; inner < k; inner++, packed += WIDTH * LANES) {                                        \
                Vector column[WIDTH];                                                                                  \
                for (int j = 0; j < WIDTH; j++)                                                                        \
                    column[j] = load(packed + j * LANES);                                                              \
                _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++) {                                              \
                    const REAL value = from[AT];                                                                       \
                    for (int j = 0; j < WIDTH; j++)                                                                    \
                        sum[i][j] += value * column[j];                                                                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++)                                                        \
            for (int j = 0; j < WIDTH; j++)                                                                            \
                store_loose(c + i * ldc + j * LANES, sum[i][j]);                                                       \
    }

#define DEFINE_TILES(ROWS)                                                                                             \
    DEFINE_TILE(rows_##ROWS##_1, ROWS, 1, i *lda + inner)                                                              \
    DEFINE_TILE(rows_##ROWS##_2, ROWS, 2, i *lda + inner)                                                              \
    DEFINE_TILE(over_time_##ROWS##_1, ROWS, 1, inner *lda + i)                                                         \
    DEFINE_TILE(over_time_##ROWS##_2, ROWS, 2, inner *lda + i)

#if MAX_ROWS > 6
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14)
#else
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#endif

FOR_ROWS(DEFINE_TILES)

#define LIST_ROWS(ROWS) {rows_##ROWS##_1, rows_##ROWS##_2},
#define LIST_OVER_TIME(ROWS) {over_time_##ROWS##_1, over_time_##ROWS##_2},
static const Tile ROW_TILES[][2] = {FOR_ROWS(LIST_ROWS)};
static const Tile OVER_TIME_TILES[][2] = {FOR_ROWS(LIST_OVER_TIME)};

static long width_of(long filled) { return filled <= LANES ? LANES : PANEL; }

static void pack_transposed(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts) {
    for (long first = 0; first < columns; first += PANEL) {
        const long filled = columns - first < PANEL ? columns - first : PANEL, width = width_of(filled);
        const REAL *from = w + first * ld;
        REAL *to = packed + first * rows * parts + part * rows * width;
        /* in blocks, so that every line of the source is read once while it is in the cache */
        for (long start = 0; start < rows; start += LANES) {
            const long end = start + LANES < rows ? start + LANES : rows;
            for (long column = 0; column < filled; column++)
                for (long row = start; row < end; row++)
                    to[row * width + column] = from[column * ld + row];
            for (long row = start; row < end; row++)
                for (long column = filled; column < width; column++)
                    to[row * width + column] = 0;
        }
    }
}

static void pack(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts) {
    for (long first = 0; first < columns; first += PANEL) {
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

static void multiply(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed, REAL *c,
                     long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded) {
    const long block = m > 2 * MAX_ROWS && parts == 1 ? INNER_BLOCK : k;
    for (long start = 0; start < k; start += block) {
        const long inner = k - start < block ? k - start : block;
        for (long first = 0; first < n; first += PANEL) {
            const long filled = n - first < PANEL ? n - first : PANEL, width = width_of(filled);
            /* a bias has no columns beyond n, so a padded tile with one is a partial tile too */
            const int is_whole = filled == width || (is_padded && !bias);
            multiply_panel(ROW_TILES, m, filled, width, is_whole, inner, parts, a, start, lda, lda,
                           packed + first * k * parts + start * width, c + first, ldc,
                           start ? c + first : init ? init + first : 0, start ? ldc : ldi,
                           bias && !start ? bias + first : 0);
        }
    }
}

static void multiply_over_time(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *b, long ldb,
                               REAL *const *c, long ldc, REAL *work) {
    const long block = ROUND_UP(k, 2) / ((k + INNER_BLOCK - 1) / INNER_BLOCK) + 1; /* even shares */
    for (long start = 0; start < k; start += block) {
        const long inner = k - start < block ? k - start : block;
        for (long first = 0; first < n; first += PANEL) {
            const long filled = n - first < PANEL ? n - first : PANEL, width = width_of(filled);
            pack(inner, filled, b + start * ldb + first, ldb, work, 0, 1);
            for (long part = 0; part < parts; part++)
                if (c[part])
                    multiply_panel(OVER_TIME_TILES, m, filled, width, filled == width, inner, 1, a + part, start * lda,
                                   lda, 1, work, c[part] + first, ldc, start ? c[part] + first : 0, ldc, 0);
        }
    }
}

static void sum_rows(long m, long n, const REAL *a, long lda, REAL *sums) {
    for (long first = 0; first < n; first += LANES) {
        const long filled = n - first < LANES ? n - first : LANES;
        if (filled == LANES) {
            Vector even = (Vector){0}, odd = (Vector){0};
            long row = 0;
            for (; row + 1 < m; row += 2) {
                even += load_loose(a + row * lda + first);
                odd += load_loose(a + (row + 1) * lda + first);
            }
            if (row < m)
                even += load_loose(a + row * lda + first);
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

const Runtime runtime = {pack_transposed, pack, multiply, multiply_over_time, sum_rows, copy, copy_rows, add, fill};
