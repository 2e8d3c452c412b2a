/* What the generated code of a cell finds in the runtime, by way of a table of functions.

   Matrices are row-major; `ld` is the distance between rows, in numbers. A *packed* matrix stands as panels of
   PANEL = 2 * LANES columns, each panel `[rows][PANEL]` (the last one may be `[rows][LANES]`), filled up with zeros. */

#define PANEL (2 * LANES)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define ROUND_UP(n, step) (((n) + (step)-1) / (step) * (step))

/* Packed rows that are asked for ahead: 2 % faster at H = 512, where 8 and 24 were 2 % slower than none. */
#define ROWS_AHEAD 64

/* How much of the inner dimension is taken at a time, so that what is packed of it stays in the cache: beside rows that
   pass by once, or, in products over time, beside strips of two matrices that are read again and again. */
#define MAX_INNER 512
#define MIN_INNER 128
#define CACHED_NUMBERS ((long)(524288 / sizeof(REAL)))
#define CACHED_OVER_TIME ((long)(409600 / sizeof(REAL)))

static inline long inner_block(long k, long n) {
    long block = CACHED_OVER_TIME / ROUND_UP(n, LANES);
    block = block < MIN_INNER ? MIN_INNER : block > MAX_INNER ? MAX_INNER : block;
    const long num_blocks = (k + block - 1) / block;
    return num_blocks ? (k + num_blocks - 1) / num_blocks : 1; /* even shares */
}

/* Rows that are taken at a time where they have to be converted. */
static inline long bulk_rows(long k, long parts) {
    const long rows = CACHED_NUMBERS / (k * parts);
    return rows < 28 ? 28 : rows;
}

/* What products of [rows, k] with [k, width], over all rows or over all k, need beside their operands, and products with
   fewer parts, rows, or narrower ones too: those are taken in larger blocks, which the bounds below hold for as well. */
static inline long work_numbers(long rows, long k, long width, long parts) {
    const long half = ROUND_UP(k, LANES) / 2, all = rows * half * parts, least = 28 * half * parts;
    const long most = least > CACHED_NUMBERS ? least : CACHED_NUMBERS, for_bulk = all < most ? all : most;
    const long inner = rows < 2 * MAX_INNER ? rows + 1 : 2 * MAX_INNER;
    const long for_time = inner * (ROUND_UP(width, LANES) + ROUND_UP(k, LANES));
    return for_bulk > for_time ? for_bulk : for_time;
}

typedef struct {
    /* Packs the transpose of w [columns, rows], or w [rows, columns] itself, each with rows `ld` apart, as one of
       several `parts` that stand above each other in one product. */
    void (*pack_transposed)(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts);
    void (*pack)(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts);
    /* c [m, n] = sum over i < parts of a[i] [m, k] packed[i*k.., n] + init [m, n] + bias [n]; init may be c, and both
       may be null. Where `is_padded`, columns up to the next multiple of LANES may be written too. */
    void (*multiply)(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed, REAL *c,
                     long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded);
    /* The same where there are many rows, of a matrix packed by `pack_bulk...`; `work` holds work_numbers(...). These may
       round the factors to fewer bits. */
    void (*pack_bulk_transposed)(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts);
    void (*pack_bulk)(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts);
    void (*multiply_bulk)(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed, REAL *c,
                          long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded, REAL *work);
    /* c[i] [m, n] = transpose of a[i] [k, m], times b [k, n], for i < parts; `work` holds work_numbers(...) */
    void (*multiply_over_time)(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *b, long ldb,
                               REAL *const *c, long ldc, REAL *work);
    /* sums [n] = of the rows of a [m, n] */
    void (*sum_rows)(long m, long n, const REAL *a, long lda, REAL *sums);
    /* copies a [m, n]; columns from n up to ldc become 0 */
    void (*copy)(long m, long n, const REAL *a, long lda, REAL *c, long ldc);
    /* copies a [m, n]; other columns stay */
    void (*copy_rows)(long m, long n, const REAL *a, long lda, REAL *c, long ldc);
    /* adds a [m, n] to c */
    void (*add)(long m, long n, const REAL *a, long lda, REAL *c, long ldc);
    void (*fill)(long n, REAL value, REAL *c);

    /* A readout's logits [rows, v], and the gradients that take their place, in `kept`, which holds kept_numbers(rows, v).
       An even number of rows, readout_rows, is computed, turned into gradients and multiplied back at a time; they begin
       at logits_at(...), ROUND_UP(v, LANES) apart. `keep` takes one row and, if `other` is not null, the next, times a
       factor each, in the form in which two products read them: c [count, n] = those from `first` on times packed [v, n],
       and c [v, n] = the transpose of all times b [rows, n]. It adds them to sums [v], too. */
    long readout_rows;
    long (*kept_numbers)(long rows, long v);
    REAL *(*logits_at)(REAL *kept, long first, long rows, long v);
    void (*keep)(long v, REAL *one, REAL factor, REAL *other, REAL other_factor, long row, long rows, REAL *kept, REAL *sums);
    void (*multiply_kept)(long first, long count, long rows, long v, long n, REAL *kept, const REAL *packed, REAL *c, long ldc,
                          REAL *work);
    void (*multiply_kept_over_time)(long rows, long v, long n, REAL *kept, const REAL *b, long ldb, REAL *c, long ldc,
                                    REAL *work);
} Runtime;

/* What Python calls itself: both ends of a sequence model, with `ld` the distance between rows as above. */

/* rows [n, width] = those of table [*, width] that the symbols name */
void gather_rows(long n, long width, const long long *symbols, const REAL *table, REAL *rows, long ld);
/* sets to zero, then sums up the rows of table that the symbols name */
void scatter_rows(long n, long width, const long long *symbols, const REAL *rows, long ld, REAL *table);
/* table[row] += factor * gradient[row] for the given rows */
void descend_rows(long n, long width, const long long *rows, REAL factor, const REAL *gradient, REAL *table);
/* Linear readout of V symbols with softmax cross entropy, on the rows of h [*, H] that are scored (all if null): returns the
   sum of the losses and writes the gradients of `scale` times that sum; those of h are 0 in rows that are not scored. */
double readout(const Runtime *use, const long *sizes, const REAL *h, const long long *scored, const long long *targets,
               const REAL *weight, const REAL *bias, REAL scale, REAL *dh, REAL *d_weight, REAL *d_bias, REAL *work);
/* length of `work` */
long readout_numbers(const Runtime *use, const long *sizes);
