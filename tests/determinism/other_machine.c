/* The core on what stdin holds, for machines without Python: other_machine MODEL THREADS < jobs > results
 *
 * A job is five numbers of 32 bits, quality, gray, rows, columns and size; a stream of that size, of rows x columns
 * cells; and as many samples of a picture. Its result: y_hat and samples of the stream; y and z of the picture; and, of
 * these, the size of a stream and the stream, coded with rate against distortion at its strongest.
 */
#include "cae.h"

#include <stdio.h>
#include <stdlib.h>

static void sure(int error) {
    if (error) {
        fprintf(stderr, "%s\n", cae_error_text(error));
        exit(1);
    }
}

static void *room(size_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    if (!memory)
        sure(CAE_ERROR_MEMORY);
    return memory;
}

static void *file(const char *path, size_t *size) {
    FILE *source = fopen(path, "rb");
    if (!source || fseek(source, 0, SEEK_END))
        exit(2);
    *size = (size_t)ftell(source);
    rewind(source);
    void *data = room(*size, 1);
    if (fread(data, 1, *size, source) != *size)
        exit(2);
    fclose(source);
    return data;
}

static void put(const void *data, size_t count, size_t size) {
    if (fwrite(data, size, count, stdout) != count)
        exit(2);
}

static float *ones(size_t count) {
    float *made = room(count, sizeof *made);
    for (size_t i = 0; i < count; i++)
        made[i] = 1;
    return made;
}

static void run(const cae_model *model, cae_threads *pool, const int32_t job[5]) {
    cae_shape shape;
    cae_model_shape(model, &shape);
    int quality = job[0], gray = job[1], rows = job[2], columns = job[3];
    size_t cells = (size_t)rows * (size_t)columns, size = (size_t)job[4], bound = cae_stream_bound(model, rows, columns);
    size_t of_y = cells * (size_t)shape.n, of_z = (size_t)((rows + 3) / 4) * (size_t)((columns + 3) / 4) * (size_t)shape.z;
    size_t of_samples = cells * (size_t)(3 * shape.cell * shape.cell);
    uint8_t *stream = room(size, 1), *samples = room(of_samples, 1), *coded = room(bound, 1);
    int32_t *y_hat = room(of_y, sizeof *y_hat);
    float *y = room(of_y, sizeof *y), *z = room(of_z, sizeof *z);
    float *weight = ones((size_t)shape.n), *strength = ones(cells);

    if (fread(stream, 1, size, stdin) != size)
        exit(2);
    sure(cae_decode_latents(model, pool, quality, gray, rows, columns, stream, size, y_hat));
    put(y_hat, of_y, sizeof *y_hat);
    sure(cae_synthesise(model, pool, quality, rows, columns, y_hat, samples));
    put(samples, of_samples, 1);

    if (fread(samples, 1, of_samples, stdin) != of_samples)
        exit(2);
    sure(cae_analyse(model, pool, rows, columns, samples, 0, 0, rows, columns, y, shape.z ? z : NULL));
    put(y, of_y, sizeof *y);
    put(z, of_z, sizeof *z);
    cae_unrounded given = {y, shape.z ? z : NULL, weight, strength};
    sure(cae_encode_latents(model, pool, quality, gray, rows, columns, &given, coded, &bound, y_hat));
    int32_t length = (int32_t)bound;
    put(&length, 1, sizeof length);
    put(coded, bound, 1);

    void *all[] = {stream, samples, coded, y_hat, y, z, weight, strength};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    size_t size;
    void *data = file(arguments[1], &size);
    cae_model *model;
    cae_threads *pool;
    sure(cae_model_open(data, size, &model));
    sure(cae_threads_new(atoi(arguments[2]), &pool));
    int32_t job[5];
    while (fread(job, sizeof *job, 5, stdin) == 5)
        run(model, pool, job);
    cae_threads_free(pool);
    cae_model_close(model);
    free(data);
    return 0;
}
