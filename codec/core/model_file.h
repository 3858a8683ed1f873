/* model_file.h: the tensors of a safetensors file, by name. Any bytes are safe to open. */
#ifndef CAE_MODEL_FILE_H
#define CAE_MODEL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors and latents are read where they lie: the core needs a little-endian machine"
#endif

enum { CAE_FILE_DIMS = 6 };

enum { CAE_U8, CAE_I16, CAE_I32, CAE_I64, CAE_F16, CAE_F32 };

typedef struct {
    const char *name; /* in the file, without a zero at its end */
    size_t length;    /* of the name */
    int type, dims;
    int64_t shape[CAE_FILE_DIMS];
    const uint8_t *data;
    size_t size; /* of the data, in bytes */
} cae_tensor;

typedef struct {
    cae_tensor *tensors; /* in rising order of names */
    size_t count;
    const char *family, *format; /* as for names; NULL where the metadata has none */
    size_t family_length, format_length;
} cae_file;

/* CAE_OK, CAE_ERROR_MODEL or CAE_ERROR_MEMORY; to be closed where it is CAE_OK. `data` is kept by reference and may lie at
 * any address. Every tensor lies inside of it and has the size that its type and shape say. Stricter than JSON: names are
 * compared as they are written, and nothing but what safetensors writes is taken. */
int cae_file_open(const void *data, size_t size, cae_file *out);
void cae_file_close(cae_file *file);

/* Data of a tensor, at any alignment, or NULL where the file has none of this name, type and shape. shape: the sizes that
 * are wanted, -1 for any; those that are there afterwards, where data is returned. */
const void *cae_file_tensor(const cae_file *file, const char *name, int type, int dims, int64_t *shape);

/* 1 where the file has a tensor of this name, of any type and shape. */
int cae_file_has(const cae_file *file, const char *name);

/* 1 where the metadata's `key`, "family" or "format", is exactly `value`. */
int cae_file_metadata(const cae_file *file, const char *key, const char *value);

/* Numbers of a tensor, wherever it lies. */
static inline int16_t cae_read_i16(const void *tensor, size_t i) {
    int16_t value;
    memcpy(&value, (const uint8_t *)tensor + 2 * i, 2);
    return value;
}

static inline int32_t cae_read_i32(const void *tensor, size_t i) {
    int32_t value;
    memcpy(&value, (const uint8_t *)tensor + 4 * i, 4);
    return value;
}

static inline float cae_read_f32(const void *tensor, size_t i) {
    float value;
    memcpy(&value, (const uint8_t *)tensor + 4 * i, 4);
    return value;
}

#endif
