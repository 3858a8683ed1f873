/* numbers MODEL ROWS COLUMNS QUALITY THREADS: for every kernel set that runs here, checksums of what it makes of a picture of noise:
 * y and z, the stream, y_hat, y_hat decoded, samples. For machines where there is no Python (test_machines.py). */
#include "cae.h"
#include "checksum.h"
#include "kernels.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *sure(void *memory) {
    if (!memory)
        exit(1);
    return memory;
}

static void check(int error) {
    if (error) {
        printf("%s\n", cae_error_text(error));
        exit(1);
    }
}

static void run(const cae_kernel_set *set, cae_threads *pool, const void *data, size_t size, int rows, int columns,
                int quality) {
    cae_model *model;
    cae_shape shape;
    check(cae_model_open_for(set, data, size, &model));
    cae_model_shape(model, &shape);
    size_t cells = (size_t)rows * (size_t)columns, pixels = 3 * (size_t)(shape.cell * shape.cell) * cells;
    size_t of_y = cells * (size_t)shape.n, of_z = cells * (size_t)shape.z + 1;
    uint8_t *samples = sure(malloc(pixels));
    float *y = sure(malloc(of_y * sizeof *y)), *z = sure(calloc(of_z, sizeof *z));
    int32_t *y_hat = sure(malloc(of_y * sizeof *y_hat)), *decoded = sure(malloc(of_y * sizeof *decoded));
    size_t length = cae_stream_bound(model, rows, columns);
    uint8_t *stream = sure(malloc(length));
    uint32_t state = 1;
    for (size_t i = 0; i < pixels; i++) {
        state = state * 1664525 + 1013904223;
        samples[i] = (uint8_t)(state >> 24);
    }
    check(cae_analyse(model, pool, rows, columns, samples, 0, 0, rows, columns, y, z));
    unsigned a = cae_crc32(y, of_y * sizeof *y), b = cae_crc32(z, of_z * sizeof *z);
    cae_unrounded given = {.y = y, .z = z};
    check(cae_encode_latents(model, pool, quality, 0, rows, columns, &given, stream, &length, y_hat));
    check(cae_decode_latents(model, pool, quality, 0, rows, columns, stream, length, decoded));
    check(cae_synthesise(model, pool, quality, rows, columns, y_hat, samples));
    printf("%s %08x %08x %08x %08x %08x %08x\n", set->name, a, b, (unsigned)cae_crc32(stream, length),
           (unsigned)cae_crc32(y_hat, of_y * sizeof *y_hat), (unsigned)cae_crc32(decoded, of_y * sizeof *decoded),
           (unsigned)cae_crc32(samples, pixels));
    free(samples), free(y), free(z), free(y_hat), free(decoded), free(stream);
    cae_model_close(model);
}

int main(int count, char **arguments) {
    static const char *const names[] = {"portable", "avx2", "avx512", "avx512vnni", "neon", "wasm"};
    FILE *file = count == 6 ? fopen(arguments[1], "rb") : NULL;
    if (!file)
        return 2;
    size_t size = 0, room = 1 << 25;
    char *data = sure(malloc(room));
    size = fread(data, 1, room, file);
    fclose(file);
    cae_threads *pool;
    check(cae_threads_new(atoi(arguments[5]), &pool));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cae_kernel_set *set = cae_kernels_named(names[i]);
        if (set)
            run(set, pool, data, size, atoi(arguments[2]), atoi(arguments[3]), atoi(arguments[4]));
    }
    cae_threads_free(pool);
    free(data);
    return 0;
}
