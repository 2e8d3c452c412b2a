/* What the generated code of a cell finds in the runtime, by way of a table of functions.

   Matrices are row-major; `ld` is the distance between rows, in numbers. A *packed* matrix stands as panels of
   PANEL = 2 * LANES columns, each panel `[rows][PANEL]` (the last one may be `[rows][LANES]`), filled up with zeros. */

#define PANEL (2 * LANES)
#define ROUND_UP(n, step) (((n) + (step)-1) / (step) * (step))

typedef struct {
    /* Packs the transpose of w [columns, rows], or w [rows, columns] itself, each with rows `ld` apart, as one of
       several `parts` that stand above each other in one product. */
    void (*pack_transposed)(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts);
    void (*pack)(long rows, long columns, const REAL *w, long ld, REAL *packed, long part, long parts);
    /* c [m, n] = sum over i < parts of a[i] [m, k] packed[i*k.., n] + init [m, n] + bias [n]; init may be c, and both
       may be null. Columns up to the next multiple of LANES are written too where `is_padded`. */
    void (*multiply)(long m, long n, long k, long parts, const REAL *const *a, long lda, const REAL *packed, REAL *c,
                     long ldc, const REAL *init, long ldi, const REAL *bias, int is_padded);
    /* c[i] [m, n] = transpose of a[i] [k, m], times b [k, n], for i < parts; `work` holds k * PANEL numbers */
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
} Runtime;
