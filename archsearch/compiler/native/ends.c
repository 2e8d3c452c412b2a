/* Both ends of a sequence model: the embedding, and the linear readout with softmax and cross entropy. */

void gather_rows(long n, long width, const long long *symbols, const REAL *table, REAL *rows, long ld) {
    for (long i = 0; i < n; i++)
        memcpy(rows + i * ld, table + symbols[i] * width, width * sizeof(REAL));
}

static void add_row(long width, REAL factor, const REAL *from, REAL *to) {
    long column = 0;
    for (; column + LANES <= width; column += LANES)
        store_loose(to + column, load_loose(to + column) + factor * load_loose(from + column));
    for (; column < width; column++)
        to[column] += factor * from[column];
}

void scatter_rows(long n, long width, const long long *symbols, const REAL *rows, long ld, REAL *table) {
    for (long i = 0; i < n; i++)
        memset(table + symbols[i] * width, 0, width * sizeof(REAL));
    for (long i = 0; i < n; i++)
        add_row(width, 1, rows + i * ld, table + symbols[i] * width);
}

void descend_rows(long n, long width, const long long *rows, REAL factor, const REAL *gradient, REAL *table) {
    for (long i = 0; i < n; i++)
        add_row(width, factor, gradient + rows[i] * width, table + rows[i] * width);
}

static Vector larger(Vector a, Vector b) { return choose((a > b) | (a != a), a, b); } /* NaN wins */

/* Turns a row of logits into what is the gradient of its loss, times `scale`, once it is multiplied with `factor`; returns
   the loss. NaN spreads, as in torch. */
static double softmax_row(long v, REAL *logits, long target, REAL scale, REAL *factor) {
    const long whole = v / LANES * LANES;
    Vector largest = splat(logits[0]);
    for (long i = 0; i < whole; i += LANES)
        largest = larger(load(logits + i), largest);
    REAL top = logits[0];
    for (long lane = 0; lane < LANES; lane++)
        top = largest[lane] > top || largest[lane] != largest[lane] ? largest[lane] : top;
    for (long i = whole; i < v; i++)
        top = logits[i] > top || logits[i] != logits[i] ? logits[i] : top;
    const REAL wanted = logits[target];
    for (long i = v; i < ROUND_UP(v, LANES); i++)
        logits[i] = -__builtin_inf();
    Vector sums = (Vector){0};
    for (long i = 0; i < v; i += LANES) {
        const Vector powers = exponential(load(logits + i) - top);
        store(logits + i, powers);
        sums += powers;
    }
    double sum = 0;
    for (long lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    *factor = scale / (REAL)sum;
    logits[target] -= (REAL)sum;
    return __builtin_log(sum) + top - wanted;
}

typedef struct {
    long rows, num_scored, H, V, ldh;
} ReadoutSizes;

static ReadoutSizes readout_sizes(const long *s) { return (ReadoutSizes){s[0], s[1], s[2], s[3], s[4]}; }

long readout_numbers(const Runtime *use, const long *sizes) {
    const ReadoutSizes s = readout_sizes(sizes);
    const long padded = ROUND_UP(s.H, LANES), padded_v = ROUND_UP(s.V, LANES);
    return 2 * padded * padded_v + use->kept_numbers(s.num_scored, s.V) + s.num_scored * 2 * padded +
           work_numbers(s.num_scored, s.V, padded, 1);
}

double readout(const Runtime *use, const long *sizes, const REAL *h, const long long *scored, const long long *targets,
               const REAL *weight, const REAL *bias, REAL scale, REAL *dh, REAL *d_weight, REAL *d_bias, REAL *work) {
    const ReadoutSizes s = readout_sizes(sizes);
    const long padded = ROUND_UP(s.H, LANES), padded_v = ROUND_UP(s.V, LANES), n = s.num_scored;
    REAL *at = work;
    REAL *const packed = at;
    at += padded * padded_v;
    REAL *const packed_back = at;
    at += padded * padded_v;
    REAL *const kept = at;
    at += use->kept_numbers(n, s.V);
    REAL *const some_h = at;
    at += n * padded;
    REAL *const some_dh = at;
    at += n * padded;
    const REAL *rows = h;
    REAL *d_rows = dh;
    long ld = s.ldh;
    if (scored) {
        for (long i = 0; i < n; i++)
            memcpy(some_h + i * padded, h + scored[i] * s.ldh, s.H * sizeof(REAL));
        rows = some_h;
        d_rows = some_dh;
        ld = padded;
    }
    use->pack_bulk_transposed(s.H, s.V, weight, s.H, packed, 0, 1);
    use->pack_bulk(s.V, s.H, weight, s.H, packed_back, 0, 1);
    double loss = 0;
    memset(d_bias, 0, s.V * sizeof(REAL));
    for (long start = 0; start < n; start += use->readout_rows) {
        const long count = n - start < use->readout_rows ? n - start : use->readout_rows;
        const REAL *a = rows + start * ld;
        REAL *const logits = use->logits_at(kept, start, n, s.V);
        use->multiply_bulk(count, s.V, s.H, 1, &a, ld, packed, logits, padded_v, 0, 0, bias, 1, at);
        for (long row = 0; row < count; row += 2) {
            REAL *const one = logits + row * padded_v, *const other = row + 1 < count ? one + padded_v : 0;
            REAL factor, other_factor = 0;
            loss += softmax_row(s.V, one, targets[start + row], scale, &factor);
            if (other)
                loss += softmax_row(s.V, other, targets[start + row + 1], scale, &other_factor);
            use->keep(s.V, one, factor, other, other_factor, start + row, n, kept, d_bias);
        }
        use->multiply_kept(start, count, n, s.V, s.H, kept, packed_back, d_rows + start * ld, ld, at);
    }
    use->multiply_kept_over_time(n, s.V, s.H, kept, rows, ld, d_weight, s.H, at);
    if (scored || n < s.rows) { /* the address of no rows at all may be null */
        for (long i = 0; i < s.rows; i++)
            memset(dh + i * s.ldh, 0, s.H * sizeof(REAL));
        for (long i = 0; i < n; i++)
            memcpy(dh + scored[i] * s.ldh, some_dh + i * padded, s.H * sizeof(REAL));
    }
    return loss;
}
