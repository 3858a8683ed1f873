#include "layers.h"

#include "arithmetic.h"
#include "cae.h"
#include "tables.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 96, TAPS = 9, MOST_PANEL = 32 };

/* Below this every sum stays: a stream may be added to it in 32 bits. */
static const int64_t LARGEST_SUM = (1LL << 31) - (1LL << 27);

static void fail(cae_loader *loader, int error) {
    if (!loader->error)
        loader->error = error;
}

static void *take(cae_loader *loader, size_t count, size_t size) {
    void *piece = cae_take(loader->memory, count, size);
    if (!piece)
        fail(loader, CAE_ERROR_MEMORY);
    return piece;
}

/* Data of tensor name.part of a shape; NULL and an error without. */
static const void *find_of(cae_loader *loader, const char *name, const char *part, int type, int dims,
                           const int64_t *shape) {
    char full[NAME_SIZE];
    int64_t there[3];
    if (loader->error)
        return NULL;
    int length = snprintf(full, sizeof full, "%s%s", name, part);
    memcpy(there, shape, (size_t)dims * sizeof *shape);
    const void *data = length < NAME_SIZE ? cae_file_tensor(loader->file, full, type, dims, there) : NULL;
    if (!data)
        fail(loader, CAE_ERROR_MODEL);
    return data;
}

static const void *find(cae_loader *loader, const char *name, const char *part, int type, int64_t count) {
    return find_of(loader, name, part, type, 1, &count);
}

static const void *find_matrix(cae_loader *loader, const char *name, const char *part, int type, int64_t rows,
                               int64_t columns) {
    return find_of(loader, name, part, type, 2, (int64_t[]){rows, columns});
}

int cae_load_side(cae_loader *loader, const char *name, int type, int dimension) {
    int64_t shape[2] = {-1, -1};
    if (loader->error)
        return 0;
    if (!cae_file_tensor(loader->file, name, type, 2, shape) || shape[dimension] < 1 ||
        shape[dimension] > CAE_MOST_CHANNELS) {
        fail(loader, CAE_ERROR_MODEL);
        return 0;
    }
    return (int)shape[dimension];
}

static int number(cae_loader *loader, const char *name, const char *part, int most) {
    const void *data = find(loader, name, part, CAE_I32, 1);
    if (!data)
        return 0;
    int32_t value = cae_read_i32(data, 0);
    if (value < 0 || value > most) {
        fail(loader, CAE_ERROR_MODEL);
        return 0;
    }
    return value;
}

int cae_load_number(cae_loader *loader, const char *name, int most) { return number(loader, name, "", most); }

/* The largest that a sum of any output can be in magnitude: the bound is proven here. A model has millions of weights: they
 * are read in the order in which they lie. */
static int64_t prove(cae_loader *loader, const uint8_t *weight, const void *bias, int inputs, int outputs, int largest) {
    cae_memory memory = {0};
    uint32_t *sums = cae_take(&memory, (size_t)outputs, sizeof *sums); /* of at most 2^16 inputs, below 2^15 each */
    int64_t bound = 0;
    if (!sums)
        fail(loader, CAE_ERROR_MEMORY);
    for (int i = 0; sums && i < inputs; i++) {
        const uint8_t *row = weight + (size_t)i * (size_t)outputs * sizeof(int16_t);
        for (int o = 0; o < outputs; o++) {
            int w = cae_read_i16(row, (size_t)o);
            sums[o] += (uint32_t)(w < 0 ? -w : w);
        }
    }
    for (int o = 0; sums && o < outputs; o++) {
        int64_t b = cae_read_i32(bias, (size_t)o), sum = (int64_t)sums[o] * largest + (b < 0 ? -b : b);
        if (sum > bound)
            bound = sum;
    }
    cae_give_back(&memory);
    if (bound >= LARGEST_SUM)
        fail(loader, CAE_ERROR_MODEL);
    return bound;
}

/* Weights of a pair of inputs and `count` outputs, one panel's at most, as kernels read them. */
static void pack_pair(const cae_kernel_set *kernels, const uint8_t *first, const uint8_t *second, int count, int16_t *out) {
    int lanes = kernels->lanes, step = kernels->side_by_side ? 2 : 1, other = kernels->side_by_side ? 1 : lanes;
    for (int o = 0; o < count; o += lanes, out += 2 * lanes) {
        int here = count - o < lanes ? count - o : lanes;
        for (int i = 0; i < here; i++) {
            out[i * step] = cae_read_i16(first, (size_t)(o + i));
            out[i * step + other] = cae_read_i16(second, (size_t)(o + i));
        }
    }
}

/* Weights of a layer, (inputs, outputs), into layer->weight, panel after panel. */
static void pack(const cae_kernel_set *kernels, const uint8_t *weight, const cae_layer *layer) {
    static const uint8_t zeros[MOST_PANEL * sizeof(int16_t)]; /* beside the last of an odd number */
    int panel = kernels->panel;
    size_t row = (size_t)layer->outputs * sizeof(int16_t);
    int16_t *out = layer->weight;
    for (int o = 0; o < layer->outputs; o += panel) {
        const uint8_t *from = weight + (size_t)o * sizeof(int16_t);
        int count = layer->outputs - o < panel ? layer->outputs - o : panel;
        for (int s = 0; s < layer->spans; s++) {
            for (int k = 0; k < layer->length[s]; k += 2, out += 2 * panel) {
                int both = k + 1 < layer->length[s];
                pack_pair(kernels, from, both ? from + row : zeros, count, out);
                from += both ? 2 * row : row;
            }
        }
    }
}

void cae_load_layer(cae_loader *loader, const char *name, int spans, const int *length, int outputs, int flags,
                    cae_layer *layer) {
    const cae_kernel_set *kernels = loader->kernels;
    *layer = (cae_layer){.outputs = outputs, .spans = spans};
    for (int s = 0; s < spans; s++) {
        layer->length[s] = length[s];
        layer->at[s] = layer->pairs;
        layer->pairs += (length[s] + 1) / 2;
        layer->inputs += length[s];
    }
    const void *weight = find_matrix(loader, name, ".weight", CAE_I16, layer->inputs, outputs);
    const void *bias = find(loader, name, ".bias", CAE_I32, outputs);
    layer->shift = number(loader, name, ".shift", CAE_MOST_SHIFT);
    if (flags & CAE_READS_STREAM)
        layer->narrow = number(loader, name, ".narrow", CAE_MOST_NARROW);
    if (loader->error)
        return;
    layer->bound = prove(loader, weight, bias, layer->inputs, outputs, flags & CAE_READS_SAMPLES ? 255 : CAE_ACTIVATION);

    int panel = kernels->panel, panels = (outputs + panel - 1) / panel;
    layer->weight = take(loader, (size_t)panels * (size_t)panel * 2, sizeof *layer->weight * (size_t)layer->pairs);
    layer->bias = take(loader, (size_t)panels * (size_t)panel, sizeof *layer->bias);
    if (loader->error)
        return;
    for (int o = 0; o < outputs; o++)
        layer->bias[o] = cae_read_i32(bias, (size_t)o);
    pack(kernels, weight, layer);
}

void cae_load_even_layer(cae_loader *loader, const char *name, int spans, int length, int outputs, int flags,
                         cae_layer *layer) {
    int lengths[CAE_MOST_SPANS];
    for (int s = 0; s < spans; s++)
        lengths[s] = length;
    cae_load_layer(loader, name, spans, lengths, outputs, flags, layer);
}

/* Where kernels.inc reads tap `tap` of a channel within the weights of its group, and the channel's bias. */
static size_t place_of_tap(int group, int channel, int tap) {
    static const int pair[TAPS] = {0, 1, 2, 0, 1, 2, 3, 3, 4}, second[TAPS] = {0, 0, 0, 1, 1, 1, 0, 1, 0};
    int of_eight = channel % 8, high = of_eight / 4, lane = channel / 8 * 4 + of_eight % 4;
    return (size_t)(pair[tap] * 2 * group + high * group + 2 * lane + second[tap]);
}

static size_t place_of_bias(int group, int channel) {
    int of_eight = channel % 8, high = of_eight / 4, lane = channel / 8 * 4 + of_eight % 4;
    return (size_t)(high * group / 2 + lane);
}

static void load_depthwise(cae_loader *loader, const char *name, int channels, cae_depthwise *layer) {
    *layer = (cae_depthwise){.channels = channels};
    const void *weight = find_matrix(loader, name, ".weight", CAE_I16, TAPS, channels);
    const void *bias = find(loader, name, ".bias", CAE_I32, channels);
    layer->shift = number(loader, name, ".shift", CAE_MOST_SHIFT);
    if (loader->error)
        return;
    prove(loader, weight, bias, TAPS, channels, CAE_ACTIVATION);
    int group = loader->kernels->depthwise_group, groups = group ? (channels + group - 1) / group : 0;
    size_t width = group ? (size_t)groups * (size_t)group : (size_t)channels;
    layer->weight = take(loader, width, 10 * sizeof *layer->weight * 2);
    layer->bias = take(loader, width, sizeof *layer->bias);
    if (loader->error)
        return;
    for (int c = 0; c < channels; c++) {
        int in_group = group ? c % group : c;
        size_t first = group ? (size_t)(c - in_group) : 0;
        layer->bias[group ? first + place_of_bias(group, in_group) : (size_t)c] = cae_read_i32(bias, (size_t)c);
        for (int tap = 0; tap < TAPS; tap++) {
            size_t plain = (size_t)tap * (size_t)channels + (size_t)c;
            layer->weight[group ? first * 10 + place_of_tap(group, in_group, tap) : plain] = cae_read_i16(weight, plain);
        }
    }
}

void cae_load_block(cae_loader *loader, const char *name, int width, cae_block *block) {
    char part[NAME_SIZE];
    block->width = width;
#define PART(member) (snprintf(part, sizeof part, "%s." #member, name), part)
    cae_load_even_layer(loader, PART(mix_in), 1, width, width, CAE_READS_STREAM, &block->mix_in);
    load_depthwise(loader, PART(depthwise), width, &block->depthwise);
    cae_load_even_layer(loader, PART(mix_out), 1, width, width, 0, &block->mix_out);
    cae_load_even_layer(loader, PART(expand), 1, width, 2 * width, CAE_READS_STREAM, &block->expand);
    cae_load_even_layer(loader, PART(project), 1, 2 * width, width, 0, &block->project);
#undef PART
}

cae_block *cae_load_blocks(cae_loader *loader, const char *name, int width, int *count) {
    char full[NAME_SIZE];
    int64_t shape[1];
    for (*count = 0;; ++*count) {
        snprintf(full, sizeof full, "%s.%d.expand.shift", name, *count);
        shape[0] = -1;
        if (loader->error || !cae_file_tensor(loader->file, full, CAE_I32, 1, shape))
            break;
    }
    cae_block *blocks = take(loader, (size_t)*count, sizeof *blocks);
    for (int i = 0; i < *count && !loader->error; i++) {
        snprintf(full, sizeof full, "%s.%d", name, i);
        cae_load_block(loader, full, width, &blocks[i]);
    }
    return blocks;
}

static int32_t *read_numbers(cae_loader *loader, const void *data, size_t count, int32_t lowest, int32_t highest) {
    int32_t *numbers = data ? take(loader, count, sizeof *numbers) : NULL;
    for (size_t i = 0; numbers && i < count; i++) {
        numbers[i] = cae_read_i32(data, i);
        if (numbers[i] < lowest || numbers[i] > highest)
            fail(loader, CAE_ERROR_MODEL);
    }
    return numbers;
}

int32_t *cae_load_table(cae_loader *loader, const char *name, int rows, int columns, int32_t most) {
    const void *data = find_matrix(loader, name, "", CAE_I32, rows, columns);
    return read_numbers(loader, data, (size_t)rows * (size_t)columns, -most, most);
}

int32_t *cae_load_pages(cae_loader *loader, const char *name, int pages, int rows, int columns, int32_t most) {
    const void *data = find_of(loader, name, "", CAE_I32, 3, (int64_t[]){pages, rows, columns});
    return read_numbers(loader, data, (size_t)pages * (size_t)rows * (size_t)columns, -most, most);
}

void cae_load_multiplier(cae_loader *loader, const char *name, int rows, int channels, cae_multiplier *multiplier) {
    size_t count = (size_t)(rows ? rows : 1) * (size_t)channels;
    const void *factor =
        rows ? find_matrix(loader, name, "", CAE_I32, rows, channels) : find(loader, name, "", CAE_I32, channels);
    const void *shift = find(loader, name, ".shift", CAE_I32, channels);
    multiplier->channels = channels;
    multiplier->factor = read_numbers(loader, factor, count, -CAE_MOST_MULTIPLIER, CAE_MOST_MULTIPLIER);
    multiplier->shift = read_numbers(loader, shift, (size_t)channels, 1, CAE_MOST_MULTIPLIER_SHIFT);
}

cae_product cae_product_of(const cae_layer *layer, const int16_t *const *x, ptrdiff_t step, int cells, cae_span *span) {
    for (int s = 0; s < layer->spans; s++)
        span[s] = (cae_span){.x = x[s], .inputs = layer->length[s], .at = layer->at[s]};
    return (cae_product){
        .weight = layer->weight,
        .bias = layer->bias,
        .pairs = layer->pairs,
        .outputs = layer->outputs,
        .shift = layer->shift,
        .spans = layer->spans,
        .span = span,
        .step = step,
        .cells = cells,
    };
}
