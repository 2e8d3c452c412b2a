/* Matrix products of packed matrices: included once for each way to multiply.

   NAMED(name) makes names unique; MULTIPLY_ADD(sum, value, vector) adds to a vector a number times a vector.

   A tile asks for memory before it is wanted: for what the tile to its right adds to, and for the packed numbers AHEAD
   rows further on, if not 0. */

#define DEFINE_TILE(NAME, ROWS, WIDTH, AT, AHEAD)                                                                      \
    static void NAME(long k, long parts, const REAL *const *a, long offset, long lda, const REAL *packed, REAL *c,     \
                     long ldc, const REAL *init, long ldi, const REAL *bias) {                                         \
        Vector sum[ROWS][WIDTH];                                                                                       \
        for (int j = 0; j < WIDTH; j++) {                                                                              \
            const Vector start = bias ? load_loose(bias + j * LANES) : (Vector){0};                                    \
            _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++)                                                    \
                sum[i][j] = init ? load_loose(init + i * ldi + j * LANES) + start : start;                             \
        }                                                                                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++)                                                        \
            for (int j = 0; j < WIDTH; j++)                                                                            \
                __builtin_prefetch(c + i * ldc + PANEL + j * LANES, 1);                                                \
        for (long part = 0; part < parts; part++) {                                                                    \
            const REAL *from = a[part] + offset;                                                                       \
            for (long inner = 0; inner < k; inner++, packed += WIDTH * LANES) {                                        \
                Vector column[WIDTH];                                                                                  \
                for (int j = 0; j < WIDTH; j++)                                                                        \
                    column[j] = load(packed + j * LANES);                                                              \
                for (int j = 0; AHEAD && j < WIDTH; j++)                                                               \
                    __builtin_prefetch(packed + (AHEAD)*WIDTH * LANES + j * LANES);                                    \
                _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++) {                                              \
                    const REAL value = from[AT];                                                                       \
                    for (int j = 0; j < WIDTH; j++)                                                                    \
                        MULTIPLY_ADD(sum[i][j], value, column[j]);                                                     \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < ROWS; i++)                                                        \
            for (int j = 0; j < WIDTH; j++)                                                                            \
                store_loose(c + i * ldc + j * LANES, sum[i][j]);                                                       \
    }

#define DEFINE_TILES(ROWS)                                                                                             \
    DEFINE_TILE(NAMED(rows_##ROWS##_1), ROWS, 1, i *lda + inner, ROWS_AHEAD)                                           \
    DEFINE_TILE(NAMED(rows_##ROWS##_2), ROWS, 2, i *lda + inner, ROWS_AHEAD)                                           \
    DEFINE_TILE(NAMED(over_time_##ROWS##_1), ROWS, 1, inner *lda + i, 0)                                               \
    DEFINE_TILE(NAMED(over_time_##ROWS##_2), ROWS, 2, inner *lda + i, 0)

FOR_ROWS(DEFINE_TILES)

#define LIST_ROWS(ROWS) {NAMED(rows_##ROWS##_1), NAMED(rows_##ROWS##_2)},
#define LIST_OVER_TIME(ROWS) {NAMED(over_time_##ROWS##_1), NAMED(over_time_##ROWS##_2)},
static const Tile NAMED(ROW_TILES)[][2] = {FOR_ROWS(LIST_ROWS)};
static const Tile NAMED(OVER_TIME_TILES)[][2] = {FOR_ROWS(LIST_OVER_TIME)};

static void NAMED(multiply)(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed, REAL *c,
                     long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded) {
    /* many rows are taken in blocks that stay in the cache while the panels pass by, and so is a long inner dimension */
    const long inner_step = m > 2 * MAX_ROWS && parts == 1 && k > 2 * MAX_INNER ? MAX_INNER : k;
    long row_step = CACHED_NUMBERS / (inner_step * parts) / MAX_ROWS * MAX_ROWS;
    row_step = row_step < 2 * MAX_ROWS ? 2 * MAX_ROWS : row_step;
    for (long start = 0; start < k; start += inner_step) {
        const long inner = k - start < inner_step ? k - start : inner_step;
        for (long row = 0; row < m; row += row_step) {
            const long rows = m - row < row_step ? m - row : row_step;
            for (long first = 0; first < n; first += PANEL) {
                const long filled = n - first < PANEL ? n - first : PANEL, width = width_of(filled);
                /* a bias has no columns beyond n, so a padded tile with one is a partial tile too */
                const int is_whole = filled == width || (is_padded && !bias);
                REAL *const target = c + row * ldc + first;
                const REAL *const from = start ? target : init ? init + row * ldi + first : 0;
                multiply_panel(NAMED(ROW_TILES), rows, filled, width, is_whole, inner, parts, a, start + row * lda, lda, lda,
                               packed + first * k * parts + start * width, target, ldc, from, start ? ldc : ldi,
                               bias && !start ? bias + first : 0);
            }
        }
    }
}

/* Adds to c [m, n], or sets it to, the transpose of a [k, m] times packed [k, n]. */
static void NAMED(multiply_transposed)(long m, long n, long k, const REAL *a, long lda, const REAL *packed, REAL *c,
                                       long ldc, int adds) {
    const long num_tiles = (m + MAX_ROWS - 1) / MAX_ROWS;
    long row = 0;
    for (long index = 0; index < num_tiles; index++) { /* a is read once, what is packed stays in the cache */
        const long rows = (m - row + num_tiles - index - 1) / (num_tiles - index);
        for (long first = 0; first < n; first += PANEL) {
            const long filled = n - first < PANEL ? n - first : PANEL, width = width_of(filled);
            REAL *const target = c + row * ldc + first;
            /* a share of the rows that the next tiles read: they lie far apart */
            for (long inner = first * k / n; inner < (first + PANEL) * k / n && inner < k; inner++) {
                __builtin_prefetch(a + inner * lda + row + rows);
                __builtin_prefetch(a + inner * lda + row + 2 * rows - 1);
            }
            multiply_panel(NAMED(OVER_TIME_TILES), rows, filled, width, filled == width, k, 1, &a, row, lda, 1,
                           packed + first * k, target, ldc, adds ? target : 0, ldc, 0);
        }
        row += rows;
    }
}

#undef DEFINE_TILE
#undef DEFINE_TILES
#undef LIST_ROWS
#undef LIST_OVER_TIME
#undef NAMED
#undef MULTIPLY_ADD
