/* Whether a kernel set computes what the portable one does, on this machine: asked once, before it is used.
 *
 * Kernels are tested where they are written, but not on every processor that has their instructions. A small model of one
 * block, its numbers pseudo-random, is run by both; so are the kernels that are not of layers. Well below a millisecond.
 */
#include "self_test.h"

#if defined(__wasm__) /* one set: there is nothing to choose */

int cae_kernels_agree(const cae_kernel_set *kernels) { return kernels != 0; }

#else

#include "arithmetic.h"
#include "layers.h"

#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 44, /* of the block: no multiple of a vector */
    ROWS = 3,
    COLUMNS = 14, /* more cells than kernels take at a time, and some are left */
    STREAM = ROWS * COLUMNS * WIDTH,
    COUNT = 77,
    HEADER_BYTES = 4096,
    DATA_BYTES = 65536,
};

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }
/* From -most to most. */
static int32_t between(uint32_t *state, int32_t most) {
    return (int32_t)((next(state) >> 8) % (2u * (uint32_t)most + 1)) - most;
}

typedef struct {
    char *header;
    size_t length;
    uint8_t *data;
    size_t size;
    uint32_t state;
} writer;

static void put(writer *to, const char *layer, const char *part, const char *type, int rows, int columns, int32_t most) {
    size_t bytes = strcmp(type, "I16") == 0 ? 2 : 4, start = to->size;
    for (int i = 0; i < rows * columns; i++, to->size += bytes) {
        int32_t value = most < 0 ? -most : between(&to->state, most); /* below 0: that number itself */
        memcpy(to->data + to->size, bytes == 2 ? (void *)&(int16_t){(int16_t)value} : (void *)&value, bytes);
    }
    char shape[32];
    snprintf(shape, sizeof shape, rows > 1 ? "[%d,%d]" : "[%d]", rows > 1 ? rows : columns, columns);
    int length = snprintf(to->header + to->length, HEADER_BYTES - to->length,
                          "%s\"b.%s.%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}", to->length > 1 ? "," : "",
                          layer, part, type, shape, start, to->size);
    to->length += (size_t)length;
}

static void put_layer(writer *to, const char *name, int inputs, int outputs, int32_t weight, int narrow) {
    put(to, name, "bias", "I32", 1, outputs, 1 << 20);
    put(to, name, "shift", "I32", 1, 1, -12);
    if (narrow)
        put(to, name, "narrow", "I32", 1, 1, -3);
    put(to, name, "weight", "I16", inputs, outputs, weight);
}

/* The file of a model of one block; its length. */
static size_t write_model(uint8_t *file, uint8_t *data) {
    char header[HEADER_BYTES] = "{";
    writer to = {.header = header, .length = 1, .data = data, .state = 1};
    put_layer(&to, "mix_in", WIDTH, WIDTH, 4000, 1);
    put_layer(&to, "depthwise", 9, WIDTH, 25000, 0);
    put_layer(&to, "mix_out", WIDTH, WIDTH, 4000, 0);
    put_layer(&to, "expand", WIDTH, 2 * WIDTH, 4000, 1);
    put_layer(&to, "project", 2 * WIDTH, WIDTH, 2000, 0);
    header[to.length++] = '}';
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(i < 4 ? to.length >> 8 * i : 0);
    memcpy(file + 8, header, to.length);
    memcpy(file + 8 + to.length, data, to.size);
    return 8 + to.length + to.size;
}

/* The block on a pseudo-random stream. CAE_OK or an error. */
static int run_block(const cae_kernel_set *kernels, const cae_file *file, int32_t *stream) {
    cae_memory memory = {0};
    cae_loader loader = {.file = file, .kernels = kernels, .memory = &memory};
    cae_block block;
    cae_load_block(&loader, "b", WIDTH, &block);
    int error = loader.error;
    uint32_t state = 2;
    for (int i = 0; i < STREAM; i++)
        stream[i] = between(&state, 1 << 17);
    if (!error)
        error = cae_run_blocks(kernels, NULL, &block, 1, stream, ROWS, COLUMNS);
    cae_give_back(&memory);
    return error;
}

typedef struct {
    int16_t narrowed[COUNT + 64], activation[COUNT + 64];
    int32_t mean[COUNT + 64], modulated[COUNT + 64];
    uint8_t index[COUNT + 64], sample[COUNT + 64];
} numbers;

static void run_others(const cae_kernel_set *kernels, numbers *out) {
    int32_t x[COUNT], a[COUNT], factor[COUNT], shift[COUNT], modulation[COUNT];
    uint32_t state = 3;
    for (int i = 0; i < COUNT; i++) {
        x[i] = between(&state, 1 << (10 + i % 17));
        a[i] = between(&state, 1 << (8 + i % 13));
        factor[i] = between(&state, 1 << 30);
        shift[i] = 20 + i % 40;
        modulation[i] = between(&state, 8191);
    }
    memset(out, 0, sizeof *out);
    kernels->narrow(x, COUNT, 5, out->narrowed);
    kernels->times_to_activation(x, factor, shift, COUNT, out->activation);
    kernels->times_to_mean(x, factor, shift, COUNT, out->mean);
    kernels->indices(x, a, COUNT, out->index);
    for (int i = 0; i < COUNT; i++)
        x[i] = cae_clamp(x[i], -CAE_FEATURE, CAE_FEATURE);
    kernels->modulate(x, modulation, COUNT, out->modulated);
    kernels->samples(x, a, COUNT, out->sample);
}

static int same_numbers(const numbers *a, const numbers *b) {
    return !memcmp(a->narrowed, b->narrowed, COUNT * sizeof *a->narrowed) &&
           !memcmp(a->activation, b->activation, COUNT * sizeof *a->activation) &&
           !memcmp(a->mean, b->mean, COUNT * sizeof *a->mean) &&
           !memcmp(a->modulated, b->modulated, COUNT * sizeof *a->modulated) &&
           !memcmp(a->index, b->index, COUNT) && !memcmp(a->sample, b->sample, COUNT);
}

typedef struct {
    uint8_t file[8 + HEADER_BYTES + DATA_BYTES], data[DATA_BYTES];
    int32_t found[STREAM], wanted[STREAM];
    numbers found_numbers, wanted_numbers;
} work;

static int agrees(const cae_kernel_set *kernels, work *own) {
    run_others(kernels, &own->found_numbers);
    run_others(&cae_kernels_portable, &own->wanted_numbers);
    if (!same_numbers(&own->found_numbers, &own->wanted_numbers))
        return 0;
    cae_file file;
    if (cae_file_open(own->file, write_model(own->file, own->data), &file))
        return 0;
    int error = run_block(kernels, &file, own->found);
    if (!error)
        error = run_block(&cae_kernels_portable, &file, own->wanted);
    cae_file_close(&file);
    return !error && !memcmp(own->found, own->wanted, sizeof own->found);
}

int cae_kernels_agree(const cae_kernel_set *kernels) {
    cae_memory memory = {0};
    work *own = cae_take(&memory, 1, sizeof *own);
    int found = own && agrees(kernels, own);
    cae_give_back(&memory);
    return found;
}

#endif
