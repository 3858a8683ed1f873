/* A .cae file of one tile, up to 1024x1024 pixels, to a PPM picture, with the core alone:
 *
 *     cc -O3 -Icodec/core examples/decode_tile.c codec/core/?*.c -lpthread -lm -o decode_tile
 *     ./decode_tile models/weights/photo.safetensors img.cae > img.ppm
 *
 * It refuses alpha and metadata, and does not compare the model's id: with another model the tile's check fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cae.h"

static uint8_t file[1 << 23], model_file[1 << 26];

static void sure(int holds, const char *otherwise) {
    if (!holds) {
        fprintf(stderr, "decode_tile: %s\n", otherwise);
        exit(1);
    }
}

static size_t read_file(const char *path, uint8_t *data, size_t room) {
    FILE *file = fopen(path, "rb");
    sure(file != NULL, "a file cannot be opened");
    size_t size = fread(data, 1, room, file);
    sure(size < room, "a file is too large");
    fclose(file);
    return size;
}

static uint32_t crc32(const uint8_t *data, size_t size) { /* FORMAT.md, 2.5 */
    uint32_t crc = ~0u;
    for (size_t i = 0; i < 8 * size; i++)
        crc = crc >> 1 ^ (0xEDB88320 & (0 - ((crc ^ data[i / 8] >> i % 8) & 1)));
    return ~crc;
}

static size_t number(const uint8_t **at, const uint8_t *end) { /* FORMAT.md, 2.1, up to 2^28 */
    size_t value = 0;
    for (int shift = 0;; shift += 7) {
        sure(*at < end && shift < 28, "a number is cut off or too large");
        value |= (size_t)(**at & 127) << shift;
        if (*(*at)++ < 128)
            return value;
    }
}

int main(int count, char **arguments) {
    sure(count == 3, "give it a model and a .cae file");
    size_t model_size = read_file(arguments[1], model_file, sizeof model_file);
    size_t size = read_file(arguments[2], file, sizeof file);
    sure(size >= 18 && memcmp(file, "\xCA\xEC\x0D\x02", 4) == 0, "not a .cae file of version 2");
    const uint8_t *at = file + 10, *end = file + size - 4;
    sure(crc32(file, size) == 0x2144DF1C, "the file is damaged"); /* what bytes and their own CRC come to */
    sure((file[4] & 0x0E) == 0, "the file has alpha, metadata or something newer");
    int gray = file[4] & 1, quality = file[5];
    size_t width = number(&at, end), height = number(&at, end);
    sure(width >= 1 && width <= 1024 && height >= 1 && height <= 1024, "more than one tile");
    cae_model *model;
    cae_shape shape;
    sure(cae_model_open(model_file, model_size, &model) == CAE_OK, "not a model of version 2");
    cae_model_shape(model, &shape);
    int rows = ((int)height + shape.cell - 1) / shape.cell, columns = ((int)width + shape.cell - 1) / shape.cell;
    size_t line = (size_t)(columns * shape.cell * 3);
    int32_t *y_hat = malloc((size_t)(rows * columns * shape.n) * sizeof *y_hat);
    uint8_t *samples = malloc(line * (size_t)(rows * shape.cell));
    sure(y_hat && samples, "no memory");
    int error = cae_decode_latents(model, NULL, quality, gray, rows, columns, at, (size_t)(end - at), y_hat);
    if (!error)
        error = cae_synthesise(model, NULL, quality, rows, columns, y_hat, samples);
    sure(!error, cae_error_text(error));
    printf("P%d\n%zu %zu\n255\n", gray ? 5 : 6, width, height);
    for (size_t row = 0; row < height; row++, samples += line) {
        for (size_t k = 0; gray && k < width; k++) /* FORMAT.md, 10.4 */
            samples[k] = (uint8_t)((samples[3 * k] + samples[3 * k + 1] + samples[3 * k + 2] + 1) / 3);
        fwrite(samples, gray ? 1 : 3, width, stdout);
    }
    cae_model_close(model);
    return 0;
}
