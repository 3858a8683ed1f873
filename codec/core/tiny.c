/* The walk over the latents of a small picture, with cells = h*w:
 *
 *     known   (h, w, N)          int16: u
 *     adapted (h + 2, w + 2, C)  int16, with a border of zeros
 *     of each cell of the step, phase by phase:
 *     stream  (cells, H)         int32: the mix of its 3x3 cells
 *     sums    (cells, 2n)        int32: the head
 *
 * Pictures are so small that threads take whole ones: this runs on the caller's.
 */
#include "tiny.h"

#include "arithmetic.h"
#include "cae.h"
#include "rounding.h"

#include <stdio.h>

const int CAE_TINY_PARITY[4][2] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}};

static void load_steps(cae_loader *loader, cae_tiny *t, const void *groups, const void *splits, int group_count) {
    int sizes[CAE_TINY_GROUPS];
    for (int g = 0; g < group_count; g++)
        sizes[g] = cae_read_i32(groups, (size_t)g);
    for (int g = 0, first = 0; g < group_count; first += sizes[g], g++) {
        int split = cae_read_i32(splits, (size_t)g), share = 4 / split;
        for (int phase = 0; phase < 4; phase += share) {
            cae_tiny_step *step = &t->step[t->steps];
            *step = (cae_tiny_step){.first = first, .count = sizes[g], .group = g, .phases = share, .first_phase = phase};
            char name[64];
            snprintf(name, sizeof name, "int.context.adaptors.%d", t->steps);
            cae_load_layer(loader, name, group_count, sizes, t->adapted, 0, &step->adaptor);
            snprintf(name, sizeof name, "int.context.heads.%d", t->steps);
            cae_load_even_layer(loader, name, 1, t->hidden, 2 * sizes[g], 0, &step->head);
            t->steps++;
        }
    }
}

void cae_load_tiny(cae_loader *loader, const cae_tables *tables, cae_tiny *t) {
    *t = (cae_tiny){.kernels = loader->kernels, .tables = tables};
    int64_t group_count = -1;
    const void *groups = cae_file_tensor(loader->file, "steps.groups", CAE_I32, 1, &group_count);
    const void *splits = groups ? cae_file_tensor(loader->file, "steps.splits", CAE_I32, 1, &group_count) : NULL;
    if (!splits || group_count < 1 || group_count > CAE_TINY_GROUPS) {
        loader->error = CAE_ERROR_MODEL;
        return;
    }
    for (size_t g = 0; g < (size_t)group_count; g++) {
        int size = cae_read_i32(groups, g), split = cae_read_i32(splits, g);
        if (size < 1 || size > CAE_MOST_CHANNELS - t->n || (split != 1 && split != 2 && split != 4)) {
            loader->error = CAE_ERROR_MODEL;
            return;
        }
        t->n += size;
    }
    t->adapted = cae_load_side(loader, "int.context.adaptors.0.weight", CAE_I16, 1);
    t->hidden = cae_load_side(loader, "int.context.mix.weight", CAE_I16, 1);
    t->step = cae_take(loader->memory, CAE_TINY_STEPS, sizeof *t->step);
    if (!t->step && !loader->error)
        loader->error = CAE_ERROR_MEMORY;
    if (loader->error)
        return;
    load_steps(loader, t, groups, splits, (int)group_count);
    cae_load_even_layer(loader, "int.context.mix", 3, 3 * t->adapted, t->hidden, 0, &t->mix);
    cae_load_even_layer(loader, "int.context.expand", 1, t->hidden, 2 * t->hidden, CAE_READS_STREAM, &t->expand);
    cae_load_even_layer(loader, "int.context.project", 1, 2 * t->hidden, t->hidden, 0, &t->project);
    t->narrow = cae_load_number(loader, "int.context.narrow", CAE_MOST_NARROW);
    cae_load_multiplier(loader, "quality.to_u", CAE_QUALITIES, t->n, &t->to_u);
    cae_load_multiplier(loader, "quality.to_y", CAE_QUALITIES, t->n, &t->to_y);
    t->index = cae_load_table(loader, "quality.index", CAE_QUALITIES, t->n, CAE_STREAM);
    t->bias = cae_load_pages(loader, "quality.bias", 2, CAE_QUALITIES, t->adapted, CAE_STREAM);
}

typedef struct {
    const cae_tiny *tiny;
    cae_coding *coding;
    int rows, columns;
    const int32_t *to_u, *to_y, *index_offset, *bias; /* rows of this quality */
    const cae_tiny_step *step;

    int16_t *known, *adapted, *narrowed, *wide;
    int32_t *stream, *sums, *mean, *y_hat;
    uint8_t *index;
    int16_t *symbols, *work;
} walk;

/* Cells of a row (or rows of a column) of the given parity. */
static int half_of(int count, int parity) { return (count - parity + 1) / 2; }

/* The step's adaptor at all cells. */
static void adapt(walk *w) {
    const cae_tiny *t = w->tiny;
    const cae_layer *layer = &w->step->adaptor;
    int cells = w->rows * w->columns, adapted = t->adapted;
    const int16_t *x[CAE_MOST_SPANS];
    for (int s = 0, first = 0; s < layer->spans; first += layer->length[s], s++)
        x[s] = w->known + first;
    cae_span span[CAE_MOST_SPANS];
    cae_product job = cae_product_of(layer, x, t->n, cells, span);
    job.spans = w->step->group + 1; /* all that is known lies in groups up to the step's */
    job.kind = CAE_TO_STREAM;
    job.lowest = INT32_MIN;
    job.highest = INT32_MAX;
    job.stream = w->sums;
    job.out_step = adapted;
    t->kernels->product(&job);
    for (int cell = 0; cell < cells; cell++) {
        ptrdiff_t padded = (ptrdiff_t)(cell / w->columns + 1) * (w->columns + 2) + cell % w->columns + 1;
        for (int k = 0; k < adapted; k++)
            w->adapted[padded * adapted + k] =
                (int16_t)cae_clamp(w->sums[(ptrdiff_t)cell * adapted + k] + w->bias[k], 0, CAE_ACTIVATION);
    }
}

/* The neighbourhoods of the step's cells -> the stream; how many cells. */
static int mix(walk *w) {
    const cae_tiny *t = w->tiny;
    int count = 0;
    for (int i = 0; i < w->step->phases; i++) {
        const int *parity = CAE_TINY_PARITY[w->step->first_phase + i];
        for (int row = parity[0]; row < w->rows; row += 2) {
            const int16_t *x[3];
            for (int k = 0; k < 3; k++)
                x[k] = w->adapted + ((ptrdiff_t)(row + k) * (w->columns + 2) + parity[1]) * t->adapted;
            cae_span span[3];
            cae_product job = cae_product_of(&t->mix, x, 2 * t->adapted, half_of(w->columns, parity[1]), span);
            job.kind = CAE_TO_STREAM;
            job.lowest = 0;
            job.highest = CAE_STREAM;
            job.stream = w->stream + (ptrdiff_t)count * t->hidden;
            job.out_step = t->hidden;
            t->kernels->product(&job);
            count += job.cells;
        }
    }
    return count;
}

/* The stream -> the head's outputs, through expand and project. */
static void head(walk *w, int cells) {
    const cae_tiny *t = w->tiny;
    int hidden = t->hidden;
    cae_span span[1];
    t->kernels->narrow(w->stream, (size_t)cells * (size_t)hidden, t->expand.narrow, w->narrowed);
    cae_product job = cae_product_of(&t->expand, (const int16_t *const[]){w->narrowed}, hidden, cells, span);
    job.kind = CAE_TO_HIDDEN;
    job.hidden = w->wide;
    job.out_step = 2 * hidden;
    t->kernels->product(&job);

    job = cae_product_of(&t->project, (const int16_t *const[]){w->wide}, 2 * hidden, cells, span);
    job.kind = CAE_ONTO_STREAM;
    job.stream = w->stream;
    job.out_step = hidden;
    job.narrowed = w->narrowed;
    job.narrow = t->narrow;
    t->kernels->product(&job);

    job = cae_product_of(&w->step->head, (const int16_t *const[]){w->narrowed}, hidden, cells, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = INT32_MIN;
    job.highest = INT32_MAX;
    job.stream = w->sums;
    job.out_step = 2 * w->step->count;
    t->kernels->product(&job);
}

/* What a step does at each of its cells, in the order of the batch. */
typedef void at_cell(walk *w, int number, ptrdiff_t cell);

static void each_cell(walk *w, at_cell *visit) {
    int number = 0;
    for (int i = 0; i < w->step->phases; i++) {
        const int *parity = CAE_TINY_PARITY[w->step->first_phase + i];
        for (int row = parity[0]; row < w->rows; row += 2) {
            for (int column = parity[1]; column < w->columns; column += 2)
                visit(w, number++, (ptrdiff_t)row * w->columns + column);
        }
    }
}

/* Mean, scale index and, in an encoder, symbol of a cell's positions. */
static void predict(walk *w, int number, ptrdiff_t cell) {
    const cae_tiny *t = w->tiny;
    const cae_unrounded *given = w->coding->given;
    int count = w->step->count, first = w->step->first;
    ptrdiff_t at = (ptrdiff_t)number * count;
    const int32_t *out = w->sums + 2 * at;
    t->kernels->times_to_mean(out, w->to_y + first, t->to_y.shift + first, count, w->mean + at);
    t->kernels->indices(out + count, w->index_offset + first, count, w->index + at);
    if (given)
        cae_round(t->tables, (size_t)count, given->y + cell * t->n + first, w->mean + at, w->index + at,
                  given->weight ? given->weight + first : NULL, given->strength ? given->strength[cell] : 0,
                  w->symbols + at);
}

/* Symbols of a cell -> y_hat, and what is known from now on. */
static void settle(walk *w, int number, ptrdiff_t cell) {
    const cae_tiny *t = w->tiny;
    int count = w->step->count, first = w->step->first;
    ptrdiff_t at = (ptrdiff_t)number * count, place = cell * t->n + first;
    for (int k = 0; k < count; k++)
        w->y_hat[place + k] = w->symbols[at + k] * CAE_ONE + w->mean[at + k];
    t->kernels->times_to_activation(w->y_hat + place, w->to_u + first, t->to_u.shift + first, count, w->known + place);
    if (w->coding->bits_y)
        w->coding->bits_y[cell] += cae_bits(t->tables, w->symbols + at, w->index + at, count);
}

int cae_walk_tiny(const cae_tiny *t, int quality, int gray, int rows, int columns, cae_coding *coding, int32_t *y_hat) {
    cae_memory memory = {0};
    walk w = {.tiny = t, .coding = coding, .rows = rows, .columns = columns, .y_hat = y_hat};
    ptrdiff_t at = quality - 1;
    w.to_u = t->to_u.factor + at * t->n;
    w.to_y = t->to_y.factor + at * t->n;
    w.index_offset = t->index + at * t->n;
    w.bias = t->bias + ((ptrdiff_t)gray * CAE_QUALITIES + at) * t->adapted;

    size_t cells = (size_t)rows * (size_t)columns, n = (size_t)t->n, hidden = (size_t)t->hidden;
    size_t sums = 2 * n > (size_t)t->adapted ? 2 * n : (size_t)t->adapted;
    w.known = cae_take(&memory, cells * n, sizeof *w.known);
    w.adapted = cae_take(&memory, ((size_t)rows + 2) * ((size_t)columns + 2) * (size_t)t->adapted, sizeof *w.adapted);
    w.stream = cae_take(&memory, cells * hidden, sizeof *w.stream);
    w.narrowed = cae_take(&memory, cells * hidden, sizeof *w.narrowed);
    w.wide = cae_take(&memory, cells * 2 * hidden, sizeof *w.wide);
    w.sums = cae_take(&memory, cells * sums, sizeof *w.sums);
    w.mean = cae_take(&memory, cells * n, sizeof *w.mean);
    w.index = cae_take(&memory, cells * n, sizeof *w.index);
    w.symbols = cae_take(&memory, cells * n, sizeof *w.symbols);
    w.work = cae_take(&memory, cells * n, sizeof *w.work);
    for (size_t i = 0; coding->bits_y && i < cells; i++)
        coding->bits_y[i] = 0;
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    for (int s = 0; !error && s < t->steps; s++) {
        w.step = &t->step[s];
        adapt(&w);
        int count = mix(&w);
        if (count == 0)
            continue;
        head(&w, count);
        each_cell(&w, predict);
        error = cae_code(coding, w.index, (size_t)count * (size_t)w.step->count, w.symbols, w.work);
        if (!error)
            each_cell(&w, settle);
    }
    cae_give_back(&memory);
    return error;
}
