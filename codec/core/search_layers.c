#include "search_layers.h"

#include "arithmetic.h"
#include "cae.h"

#include <math.h>
#include <stdio.h>

enum { NAME_SIZE = 96, TAPS = 9 };

static void fail(cae_float_loader *loader, int error) {
    if (!loader->error)
        loader->error = error;
}

static float *take(cae_float_loader *loader, size_t count) {
    float *piece = loader->error ? NULL : cae_take(loader->memory, count, sizeof *piece);
    if (!piece)
        fail(loader, CAE_ERROR_MEMORY);
    return piece;
}

/* Data of tensor name.part; NULL and an error without. */
static const void *find(cae_float_loader *loader, const char *name, const char *part, int type, int dims,
                        const int64_t *sides) {
    char full[NAME_SIZE];
    int64_t shape[2];
    if (loader->error)
        return NULL;
    int length = snprintf(full, sizeof full, "%s%s", name, part);
    memcpy(shape, sides, (size_t)dims * sizeof *sides);
    const void *data = length < NAME_SIZE ? cae_file_tensor(loader->file, full, type, dims, shape) : NULL;
    if (!data)
        fail(loader, CAE_ERROR_MODEL);
    return data;
}

static int number(cae_float_loader *loader, const char *name, const char *part, int most) {
    const void *data = find(loader, name, part, CAE_I32, 1, (int64_t[]){1});
    int32_t value = data ? cae_read_i32(data, 0) : 0;
    if (value < 0 || value > most)
        fail(loader, CAE_ERROR_MODEL);
    return loader->error ? 0 : value;
}

float cae_load_float_narrow(cae_float_loader *loader, const char *name) {
    return ldexpf(1, -number(loader, name, "", CAE_MOST_NARROW));
}

/* A layer as its tensors have it. */
typedef struct {
    const void *weight, *bias;
    int inputs, outputs, shift, narrow;
} raw;

static raw raw_of(cae_float_loader *loader, const char *name, int inputs, int outputs, int reads_stream) {
    raw r = {.inputs = inputs, .outputs = outputs};
    r.weight = find(loader, name, ".weight", CAE_I16, 2, (int64_t[]){inputs, outputs});
    r.bias = find(loader, name, ".bias", CAE_I32, 1, (int64_t[]){outputs});
    r.shift = number(loader, name, ".shift", CAE_MOST_SHIFT);
    r.narrow = reads_stream ? number(loader, name, ".narrow", CAE_MOST_NARROW) : 0;
    return r;
}

static float weight_of(const raw *r, int input, int output) {
    return ldexpf(cae_read_i16(r->weight, (size_t)input * (size_t)r->outputs + (size_t)output), -(r->shift + r->narrow));
}

/* Without the half that rounds. */
static float bias_of(const raw *r, int output) {
    return (float)ldexp(cae_read_i32(r->bias, (size_t)output) - (double)cae_half(r->shift), -r->shift);
}

static void start(cae_float_loader *loader, cae_float_layer *layer, int inputs, int outputs) {
    size_t panel = (size_t)loader->kernels->panel, panels = ((size_t)outputs + panel - 1) / panel;
    *layer = (cae_float_layer){.inputs = inputs, .outputs = outputs};
    layer->weight = take(loader, panels * panel * (size_t)inputs);
    layer->bias = take(loader, panels * panel);
}

static float *place(const cae_float_loader *loader, const cae_float_layer *layer, int input, int output) {
    int panel = loader->kernels->panel;
    size_t row = (size_t)(output / panel) * (size_t)layer->inputs + (size_t)input;
    return layer->weight + row * (size_t)panel + output % panel;
}

void cae_load_float_layer(cae_float_loader *loader, const char *name, int inputs, int outputs, int taps,
                          cae_float_layer *layer, cae_float_layer *back, float *reads) {
    raw r = raw_of(loader, name, inputs, outputs, reads != NULL);
    int channels = inputs / taps;
    start(loader, layer, inputs, outputs);
    if (back)
        start(loader, back, taps * outputs, channels);
    if (loader->error)
        return;
    if (reads)
        *reads = ldexpf(CAE_ACTIVATION, r.narrow);
    for (int o = 0; o < outputs; o++)
        layer->bias[o] = bias_of(&r, o);
    for (int i = 0; i < inputs; i++) {
        int tap = i / channels, opposite = taps - 1 - tap;
        for (int o = 0; o < outputs; o++) {
            float w = weight_of(&r, i, o);
            *place(loader, layer, i, o) = w;
            if (back)
                *place(loader, back, opposite * outputs + o, i % channels) = w;
        }
    }
}

void cae_load_float_part_back(cae_float_loader *loader, const char *name, int inputs, int outputs, int first, int count,
                              cae_float_layer *back) {
    raw r = raw_of(loader, name, inputs, outputs, 0);
    start(loader, back, outputs, count);
    for (int i = 0; !loader->error && i < count; i++) {
        for (int o = 0; o < outputs; o++)
            *place(loader, back, o, i) = weight_of(&r, first + i, o);
    }
}

void cae_load_float_block(cae_float_loader *loader, const char *name, int width, cae_float_block *block) {
    char part[NAME_SIZE];
    *block = (cae_float_block){.width = width};
#define PART(member) (snprintf(part, sizeof part, "%s." #member, name), part)
    cae_load_float_layer(loader, PART(mix_in), width, width, 1, &block->mix_in, &block->mix_in_back, &block->mix_in_reads);
    cae_load_float_layer(loader, PART(mix_out), width, width, 1, &block->mix_out, &block->mix_out_back, NULL);
    cae_load_float_layer(loader, PART(expand), width, 2 * width, 1, &block->expand, &block->expand_back,
                         &block->expand_reads);
    cae_load_float_layer(loader, PART(project), 2 * width, width, 1, &block->project, &block->project_back, NULL);
    raw r = raw_of(loader, PART(depthwise), TAPS, width, 0);
#undef PART
    size_t channels = (size_t)width;
    block->depthwise = take(loader, TAPS * channels);
    block->depthwise_back = take(loader, TAPS * channels);
    block->depthwise_bias = take(loader, channels);
    if (loader->error)
        return;
    for (int c = 0; c < width; c++) {
        block->depthwise_bias[c] = bias_of(&r, c);
        for (int tap = 0; tap < TAPS; tap++) {
            float w = weight_of(&r, tap, c);
            block->depthwise[tap * width + c] = w;
            block->depthwise_back[(TAPS - 1 - tap) * width + c] = w;
        }
    }
}

cae_float_block *cae_load_float_blocks(cae_float_loader *loader, const char *name, int width, int count) {
    char full[NAME_SIZE];
    cae_float_block *blocks = cae_take(loader->memory, (size_t)count, sizeof *blocks);
    if (!blocks)
        fail(loader, CAE_ERROR_MEMORY);
    for (int i = 0; !loader->error && i < count; i++) {
        snprintf(full, sizeof full, "%s.%d", name, i);
        cae_load_float_block(loader, full, width, &blocks[i]);
    }
    return blocks;
}

cae_float_product cae_float_product_of(const cae_float_layer *layer, const float *x, ptrdiff_t step, int cells, float *out,
                                       ptrdiff_t out_step) {
    return (cae_float_product){
        .weight = layer->weight,
        .bias = layer->bias,
        .inputs = layer->inputs,
        .outputs = layer->outputs,
        .spans = 1,
        .span = {{x, layer->inputs, 0}},
        .step = step,
        .cells = cells,
        .out = out,
        .out_step = out_step,
    };
}

void cae_float_back(const cae_float_kernels *kernels, const cae_float_layer *back, const float *x, int cells, float *out) {
    cae_float_product job = cae_float_product_of(back, x, back->inputs, cells, out, back->outputs);
    kernels->product(&job);
}
