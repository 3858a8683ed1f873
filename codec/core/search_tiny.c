/* The walk of tiny.c, in float32, on the caller's thread: pictures are small. What is chosen does not follow a slope, but means
 * do, as in search_walk.c. */
#include "search_tiny.h"

#include "arithmetic.h"
#include "cae.h"

#include <math.h>
#include <stdio.h>

/* Parts of what is kept of a step, after the adaptor's C: by the H before them. */
enum { MIXED, READ, EXPANDED, KEPT_HIDDEN = 4 };

void cae_load_float_tiny(cae_float_loader *loader, const cae_tiny *exact, cae_float_tiny *t) {
    *t = (cae_float_tiny){.exact = exact};
    int adapted = exact->adapted, hidden = exact->hidden;
    char name[64];
    cae_load_float_layer(loader, "int.context.mix", 9 * adapted, hidden, 1, &t->mix, NULL, NULL);
    cae_load_float_part_back(loader, "int.context.mix", 9 * adapted, hidden, 0, 9 * adapted, &t->mix_back);
    cae_load_float_layer(loader, "int.context.expand", hidden, 2 * hidden, 1, &t->expand, &t->expand_back, &t->expand_reads);
    cae_load_float_layer(loader, "int.context.project", 2 * hidden, hidden, 1, &t->project, &t->project_back, NULL);
    t->head_unit = cae_load_float_narrow(loader, "int.context.narrow");
    t->step = cae_take(loader->memory, (size_t)exact->steps, sizeof *t->step);
    if (!t->step && !loader->error)
        loader->error = CAE_ERROR_MEMORY;
    for (int s = 0; !loader->error && s < exact->steps; s++) {
        const cae_tiny_step *step = &exact->step[s];
        snprintf(name, sizeof name, "int.context.adaptors.%d", s);
        cae_load_float_layer(loader, name, exact->n, adapted, 1, &t->step[s].adaptor, NULL, NULL);
        cae_load_float_part_back(loader, name, exact->n, adapted, 0, step->first + step->count, &t->step[s].adaptor_back);
        snprintf(name, sizeof name, "int.context.heads.%d", s);
        cae_load_float_layer(loader, name, hidden, 2 * step->count, 1, &t->step[s].head, &t->step[s].head_back, NULL);
    }
    cae_rate_open(&t->rate);
}

static size_t in_panels(const cae_float_kernels *kernels, int outputs) {
    size_t panel = (size_t)kernels->panel;
    return ((size_t)outputs + panel - 1) / panel * panel;
}

void cae_float_tiny_open(cae_float_tiny_walk *w, const cae_float_tiny *tiny, const cae_float_kernels *kernels, int quality,
                         int gray, int rows, int columns, const float *weight, cae_memory *memory) {
    const cae_tiny *t = tiny->exact;
    size_t cells = (size_t)rows * (size_t)columns, n = (size_t)t->n, adapted = (size_t)t->adapted, hidden = (size_t)t->hidden;
    size_t panels = in_panels(kernels, t->adapted), steps = (size_t)t->steps;
    *w = (cae_float_tiny_walk){.tiny = tiny, .kernels = kernels, .rows = rows, .columns = columns};
    w->to_u = cae_take(memory, 4 * n, sizeof *w->to_u);
    w->bias = cae_take(memory, steps * panels, sizeof *w->bias);
    w->known = cae_take(memory, cells * n, sizeof *w->known);
    w->adapted = cae_take(memory, ((size_t)rows + 2) * ((size_t)columns + 2) * adapted, sizeof *w->adapted);
    w->stream = cae_take(memory, cells * hidden, sizeof *w->stream);
    w->read = cae_take(memory, cells * hidden, sizeof *w->read);
    w->wide = cae_take(memory, cells * 2 * hidden, sizeof *w->wide);
    w->sums = cae_take(memory, cells * (2 * n > 9 * adapted ? 2 * n : 9 * adapted), sizeof *w->sums);
    w->of_index = cae_take(memory, cells * n, sizeof *w->of_index);
    w->kept_count = cells * (adapted + KEPT_HIDDEN * hidden);
    w->kept = cae_take(memory, steps * w->kept_count, 1);
    if (memory->failed)
        return;
    w->to_y = w->to_u + n, w->index_offset = w->to_y + n, w->weight = w->index_offset + n;
    ptrdiff_t at = quality - 1;
    const int32_t *bias = t->bias + ((ptrdiff_t)gray * CAE_QUALITIES + at) * t->adapted;
    for (int k = 0; k < t->n; k++) {
        w->to_u[k] = CAE_ONE * ldexpf((float)t->to_u.factor[at * t->n + k], -t->to_u.shift[k]);
        w->to_y[k] = ldexpf((float)t->to_y.factor[at * t->n + k], -t->to_y.shift[k]) / CAE_ONE;
        w->index_offset[k] = (float)t->index[at * t->n + k];
        w->weight[k] = weight[k];
    }
    for (int s = 0; s < t->steps; s++) {
        for (int k = 0; k < t->adapted; k++)
            w->bias[(size_t)s * panels + (size_t)k] = tiny->step[s].adaptor.bias[k] + (float)bias[k];
    }
}

static int half_of(int count, int parity) { return (count - parity + 1) / 2; }

/* The first number of a row of `adapted`, of the cell to the left of the first. */
static float *adapted_row(const cae_float_tiny_walk *w, int row) {
    return w->adapted + (ptrdiff_t)(row + 1) * (w->columns + 2) * w->tiny->exact->adapted;
}

static int8_t *kept_of(const cae_float_tiny_walk *w, int s, int part) {
    const cae_tiny *t = w->tiny->exact;
    ptrdiff_t cells = (ptrdiff_t)w->rows * w->columns;
    return w->kept + (ptrdiff_t)s * (ptrdiff_t)w->kept_count + cells * (t->adapted + (ptrdiff_t)part * t->hidden);
}

/* The step's adaptor at all cells. */
static void adapt(cae_float_tiny_walk *w, int s) {
    const cae_tiny *t = w->tiny->exact;
    const cae_tiny_step *step = &t->step[s];
    size_t count = (size_t)w->columns * (size_t)t->adapted;
    int8_t *kept = w->kept + (size_t)s * w->kept_count;
    for (int row = 0; row < w->rows; row++, kept += count) {
        float *out = adapted_row(w, row) + t->adapted;
        cae_float_product job = cae_float_product_of(&w->tiny->step[s].adaptor, w->known + (ptrdiff_t)row * w->columns * t->n,
                                                     t->n, w->columns, out, t->adapted);
        job.span[0].inputs = step->first + step->count; /* the others are not known */
        job.bias = w->bias + (size_t)s * in_panels(w->kernels, t->adapted);
        w->kernels->product(&job);
        w->kernels->rectify(out, count, CAE_ACTIVATION, kept);
    }
}

/* The neighbourhoods of the step's cells -> the stream; how many cells. */
static int mix(cae_float_tiny_walk *w, int s) {
    const cae_tiny *t = w->tiny->exact;
    const cae_tiny_step *step = &t->step[s];
    int count = 0;
    for (int i = 0; i < step->phases; i++) {
        const int *parity = CAE_TINY_PARITY[step->first_phase + i];
        for (int row = parity[0]; row < w->rows; row += 2) {
            cae_float_product job = cae_float_product_of(&w->tiny->mix, NULL, 2 * t->adapted, half_of(w->columns, parity[1]),
                                                         w->stream + (ptrdiff_t)count * t->hidden, t->hidden);
            job.spans = 3;
            for (int k = 0; k < 3; k++)
                job.span[k] = (cae_float_span){adapted_row(w, row + k - 1) + (ptrdiff_t)parity[1] * t->adapted,
                                               3 * t->adapted, 3 * t->adapted * k};
            w->kernels->product(&job);
            count += job.cells;
        }
    }
    w->kernels->rectify(w->stream, (size_t)count * (size_t)t->hidden, CAE_STREAM, kept_of(w, s, MIXED));
    return count;
}

/* The stream -> the head's outputs, through expand and project. */
static void head(cae_float_tiny_walk *w, int s, int cells) {
    const cae_float_tiny *t = w->tiny;
    const cae_float_kernels *kernels = w->kernels;
    int hidden = t->exact->hidden;
    size_t count = (size_t)cells * (size_t)hidden;
    kernels->bound(w->stream, count, t->expand_reads, w->read, kept_of(w, s, READ));
    cae_float_product job = cae_float_product_of(&t->expand, w->read, hidden, cells, w->wide, 2 * hidden);
    kernels->product(&job);
    kernels->rectify(w->wide, 2 * count, CAE_ACTIVATION, kept_of(w, s, EXPANDED));
    job = cae_float_product_of(&t->project, w->wide, 2 * hidden, cells, w->read, hidden);
    kernels->product(&job);
    for (size_t i = 0; i < count; i++)
        w->stream[i] = (w->stream[i] + w->read[i]) * t->head_unit;
    job = cae_float_product_of(&t->step[s].head, w->stream, hidden, cells, w->sums, t->step[s].head.outputs);
    kernels->product(&job);
}

/* What one pass of a step's cells is for. */
typedef struct {
    const float *target, *strength;
    float *y_hat, *slope;
    double bits;
} pass;

typedef void at_cell(cae_float_tiny_walk *w, pass *p, const cae_tiny_step *step, int number, ptrdiff_t cell);

static void each_cell(cae_float_tiny_walk *w, pass *p, const cae_tiny_step *step, at_cell *visit) {
    int number = 0;
    for (int i = 0; i < step->phases; i++) {
        const int *parity = CAE_TINY_PARITY[step->first_phase + i];
        for (int row = parity[0]; row < w->rows; row += 2) {
            for (int column = parity[1]; column < w->columns; column += 2)
                visit(w, p, step, number++, (ptrdiff_t)row * w->columns + column);
        }
    }
}

static void choose(cae_float_tiny_walk *w, pass *p, const cae_tiny_step *step, int number, ptrdiff_t cell) {
    const cae_tiny *t = w->tiny->exact;
    int count = step->count;
    ptrdiff_t at = cell * t->n + step->first;
    const float *sums = w->sums + (ptrdiff_t)number * 2 * count, *to_y = w->to_y + step->first, *to_u = w->to_u + step->first;
    for (int k = 0; k < count; k++) {
        float mean = sums[k] * to_y[k], index = (sums[count + k] + w->index_offset[step->first + k]) * (1.0f / CAE_ONE);
        float symbol = cae_float_choice(t->tables, p->target[at + k] - mean, index, w->weight[step->first + k],
                                        p->strength[cell]);
        p->bits += (double)cae_rate_bits(&w->tiny->rate, symbol, index, &w->of_index[at + k]);
        p->y_hat[at + k] = symbol + mean;
        w->known[at + k] = (symbol + mean) * to_u[k];
    }
}

double cae_float_tiny_run(cae_float_tiny_walk *w, const float *target, const float *strength, float *y_hat) {
    const cae_tiny *t = w->tiny->exact;
    pass p = {.target = target, .strength = strength, .y_hat = y_hat};
    memset(w->known, 0, (size_t)w->rows * (size_t)w->columns * (size_t)t->n * sizeof *w->known);
    memset(w->adapted, 0, (size_t)(w->rows + 2) * (size_t)(w->columns + 2) * (size_t)t->adapted * sizeof *w->adapted);
    for (int s = 0; s < t->steps; s++) {
        adapt(w, s);
        int cells = mix(w, s);
        if (cells == 0)
            continue; /* a picture of one row or column of cells */
        head(w, s, cells);
        each_cell(w, &p, &t->step[s], choose);
    }
    return p.bits;
}

/* How things grow with the head's outputs. */
static void of_sums(cae_float_tiny_walk *w, pass *p, const cae_tiny_step *step, int number, ptrdiff_t cell) {
    int count = step->count;
    ptrdiff_t at = cell * w->tiny->exact->n + step->first;
    float *out = w->sums + (ptrdiff_t)number * 2 * count, unit = w->tiny->head_unit;
    for (int k = 0; k < count; k++) {
        out[k] = p->slope[at + k] * w->to_y[step->first + k] * unit;
        out[count + k] = w->of_index[at + k] * (1.0f / CAE_ONE) * unit;
    }
}

/* From a cell's neighbourhood, in `sums`, to the map of what was adapted. */
static void scatter(cae_float_tiny_walk *w, pass *p, const cae_tiny_step *step, int number, ptrdiff_t cell) {
    int adapted = w->tiny->exact->adapted, row = (int)(cell / w->columns), column = (int)(cell % w->columns);
    const float *from = w->sums + (ptrdiff_t)number * 9 * adapted;
    (void)p, (void)step;
    for (int k = 0; k < 3; k++) {
        float *restrict out = adapted_row(w, row + k - 1) + (ptrdiff_t)column * adapted;
        for (int i = 0; i < 3 * adapted; i++)
            out[i] += from[k * 3 * adapted + i];
    }
}

/* Whether a step knew its own group at a cell: in an earlier phase. */
static int knew(const cae_tiny_step *step, int row, int column) {
    for (int phase = 0; phase < step->first_phase; phase++) {
        if (CAE_TINY_PARITY[phase][0] == row % 2 && CAE_TINY_PARITY[phase][1] == column % 2)
            return 1;
    }
    return 0;
}

/* From what was adapted to what was known. */
static void to_known(cae_float_tiny_walk *w, int s, float *slope) {
    const cae_tiny *t = w->tiny->exact;
    const cae_tiny_step *step = &t->step[s];
    const cae_float_layer *back = &w->tiny->step[s].adaptor_back;
    size_t count = (size_t)w->columns * (size_t)t->adapted;
    const int8_t *kept = w->kept + (size_t)s * w->kept_count;
    for (int row = 0; row < w->rows; row++, kept += count) {
        float *of_adapted = adapted_row(w, row) + t->adapted;
        w->kernels->keep(of_adapted, count, kept);
        cae_float_back(w->kernels, back, of_adapted, w->columns, w->sums);
        for (int column = 0; column < w->columns; column++) {
            float *restrict out = slope + ((ptrdiff_t)row * w->columns + column) * t->n;
            const float *restrict from = w->sums + (ptrdiff_t)column * back->outputs;
            int most = knew(step, row, column) ? step->first + step->count : step->first;
            for (int k = 0; k < most; k++)
                out[k] += from[k] * w->to_u[k];
        }
    }
}

void cae_float_tiny_back(cae_float_tiny_walk *w, float *slope) {
    const cae_float_tiny *t = w->tiny;
    const cae_float_kernels *kernels = w->kernels;
    pass p = {.slope = slope};
    int adapted = t->exact->adapted, hidden = t->exact->hidden;
    for (int s = t->exact->steps - 1; s >= 0; s--) {
        const cae_tiny_step *step = &t->exact->step[s];
        int cells = 0;
        for (int i = 0; i < step->phases; i++) {
            const int *parity = CAE_TINY_PARITY[step->first_phase + i];
            cells += half_of(w->rows, parity[0]) * half_of(w->columns, parity[1]);
        }
        if (cells == 0 || s == 0)
            continue; /* step 0 knew nothing */
        size_t count = (size_t)cells * (size_t)hidden;
        each_cell(w, &p, step, of_sums);
        cae_float_back(kernels, &t->step[s].head_back, w->sums, cells, w->stream);
        cae_float_back(kernels, &t->project_back, w->stream, cells, w->wide);
        kernels->keep(w->wide, 2 * count, kept_of(w, s, EXPANDED));
        cae_float_back(kernels, &t->expand_back, w->wide, cells, w->read);
        kernels->add_kept(w->stream, w->read, count, kept_of(w, s, READ));
        kernels->keep(w->stream, count, kept_of(w, s, MIXED));
        cae_float_back(kernels, &t->mix_back, w->stream, cells, w->sums);
        memset(w->adapted, 0, (size_t)(w->rows + 2) * (size_t)(w->columns + 2) * (size_t)adapted * sizeof *w->adapted);
        each_cell(w, &p, step, scatter);
        to_known(w, s, slope);
    }
}
