#include "model_file.h"

#include <stdlib.h>

#include "cae.h"

/* A place in the header. Everything below moves it on and returns 1, or returns 0 at what it does not expect. */
typedef struct {
    const char *at, *end;
} text;

typedef struct {
    const char *start;
    size_t length;
} word;

enum { HEADER_MAX = 100 << 20 }; /* as in safetensors itself */

static void skip_spaces(text *t) {
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

/* A character, and the spaces around it. */
static int take(text *t, char expected) {
    skip_spaces(t);
    if (t->at == t->end || *t->at != expected)
        return 0;
    t->at++;
    skip_spaces(t);
    return 1;
}

static int is_hexadecimal(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int skip_escape(text *t) {
    if (t->at == t->end)
        return 0;
    char kind = *t->at++;
    if (kind != 'u')
        return kind != 0 && strchr("\"\\/bfnrt", kind) != NULL;
    for (int i = 0; i < 4; i++)
        if (t->at == t->end || !is_hexadecimal(*t->at++))
            return 0;
    return 1;
}

/* A string, as it is written: escapes stay. */
static int take_string(text *t, word *out) {
    if (t->at == t->end || *t->at != '"')
        return 0;
    out->start = ++t->at;
    while (t->at < t->end && *t->at != '"') {
        unsigned char c = (unsigned char)*t->at++;
        if (c < ' ' || (c == '\\' && !skip_escape(t)))
            return 0;
    }
    if (t->at == t->end)
        return 0;
    out->length = (size_t)(t->at++ - out->start);
    return 1;
}

static int take_number(text *t, int64_t *out) {
    const char *start = t->at;
    int64_t value = 0;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        if (value > (INT64_MAX - 9) / 10)
            return 0;
        value = 10 * value + (*t->at - '0');
    }
    *out = value;
    return t->at > start && (*start != '0' || t->at == start + 1);
}

/* [1, 2, 3] with at most `most` numbers. */
static int take_numbers(text *t, int64_t *out, int most, int *count) {
    *count = 0;
    if (!take(t, '['))
        return 0;
    if (take(t, ']'))
        return 1;
    do
        if (*count == most || !take_number(t, &out[(*count)++]))
            return 0;
    while (take(t, ','));
    return take(t, ']');
}

static int equals(word a, const char *b) {
    return a.length == strlen(b) && memcmp(a.start, b, a.length) == 0;
}

static const struct {
    const char *name;
    int type, size;
} TYPES[] = {{"U8", CAE_U8, 1},   {"I16", CAE_I16, 2}, {"I32", CAE_I32, 4},
             {"I64", CAE_I64, 8}, {"F16", CAE_F16, 2}, {"F32", CAE_F32, 4}};

enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

/* Index into TYPES. */
static int take_type(text *t, int *out) {
    word name;
    if (!take_string(t, &name))
        return 0;
    for (*out = 0; *out < TYPE_COUNT; ++*out)
        if (equals(name, TYPES[*out].name))
            return 1;
    return 0;
}

/* {"dtype": .., "shape": [..], "data_offsets": [from, to]}, in any order, each once; `data` is what offsets count from. */
static int take_tensor(text *t, const uint8_t *data, size_t size, cae_tensor *out) {
    int type = -1, seen = 0, pair = 0;
    int64_t offsets[2];
    if (!take(t, '{'))
        return 0;
    do {
        word key;
        int part;
        if (!take_string(t, &key) || !take(t, ':'))
            return 0;
        if (equals(key, "dtype") && take_type(t, &type))
            part = 1;
        else if (equals(key, "shape") && take_numbers(t, out->shape, CAE_FILE_DIMS, &out->dims))
            part = 2;
        else if (equals(key, "data_offsets") && take_numbers(t, offsets, 2, &pair))
            part = 4;
        else
            return 0;
        if (seen & part)
            return 0;
        seen |= part;
    } while (take(t, ','));
    if (!take(t, '}') || seen != 7 || pair != 2)
        return 0;
    if (offsets[0] > offsets[1] || (uint64_t)offsets[1] > size)
        return 0;
    out->type = TYPES[type].type;
    out->data = data + offsets[0];
    out->size = (size_t)(offsets[1] - offsets[0]);
    int empty = 0;
    for (int i = 0; i < out->dims; i++)
        empty |= out->shape[i] == 0;
    uint64_t bytes = empty ? 0 : (uint64_t)TYPES[type].size;
    for (int i = 0; i < out->dims && !empty; i++) {
        if (bytes > size / (uint64_t)out->shape[i]) /* it does not fit: and no product can overflow */
            return 0;
        bytes *= (uint64_t)out->shape[i];
    }
    return out->size == bytes;
}

/* {"key": "value", ..}, of which `file` keeps two. */
static int take_metadata(text *t, cae_file *file) {
    if (!take(t, '{'))
        return 0;
    if (take(t, '}'))
        return 1;
    do {
        word key, value;
        if (!take_string(t, &key) || !take(t, ':') || !take_string(t, &value))
            return 0;
        const char **start = equals(key, "family") ? &file->family : equals(key, "format") ? &file->format : NULL;
        if (start == NULL)
            continue;
        if (*start != NULL)
            return 0;
        *start = value.start;
        *(start == &file->family ? &file->family_length : &file->format_length) = value.length;
    } while (take(t, ','));
    return take(t, '}');
}

/* CAE_OK and *out moved on, with room for one more tensor at its end. */
static int grow(cae_file *file, size_t *room) {
    if (file->count < *room)
        return CAE_OK;
    size_t more = *room ? 2 * *room : 64;
    cae_tensor *tensors = realloc(file->tensors, more * sizeof *tensors);
    if (tensors == NULL)
        return CAE_ERROR_MEMORY;
    file->tensors = tensors;
    *room = more;
    return CAE_OK;
}

/* The whole header: an object of tensors and metadata. */
static int read_header(text *t, const uint8_t *data, size_t size, cae_file *file) {
    size_t room = 0;
    int metadata = 0;
    if (!take(t, '{'))
        return CAE_ERROR_MODEL;
    if (!take(t, '}')) {
        do {
            word name;
            if (!take_string(t, &name) || !take(t, ':'))
                return CAE_ERROR_MODEL;
            if (equals(name, "__metadata__")) {
                if (metadata++ || !take_metadata(t, file))
                    return CAE_ERROR_MODEL;
                continue;
            }
            int error = grow(file, &room);
            if (error)
                return error;
            cae_tensor *tensor = &file->tensors[file->count];
            tensor->name = name.start;
            tensor->length = name.length;
            if (!take_tensor(t, data, size, tensor))
                return CAE_ERROR_MODEL;
            file->count++;
        } while (take(t, ','));
        if (!take(t, '}'))
            return CAE_ERROR_MODEL;
    }
    return t->at == t->end ? CAE_OK : CAE_ERROR_MODEL;
}

static int by_name(const void *a, const void *b) {
    const cae_tensor *x = a, *y = b;
    size_t length = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->name, y->name, length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

int cae_file_open(const void *data, size_t size, cae_file *out) {
    memset(out, 0, sizeof *out);
    uint64_t length;
    if (size < 8)
        return CAE_ERROR_MODEL;
    memcpy(&length, data, 8);
    if (length > size - 8 || length > HEADER_MAX)
        return CAE_ERROR_MODEL;
    const char *header = (const char *)data + 8;
    text t = {header, header + length};
    int error = read_header(&t, (const uint8_t *)data + 8 + length, size - 8 - (size_t)length, out);
    if (!error && out->count) {
        qsort(out->tensors, out->count, sizeof *out->tensors, by_name);
        for (size_t i = 1; i < out->count; i++)
            if (by_name(&out->tensors[i - 1], &out->tensors[i]) == 0)
                error = CAE_ERROR_MODEL;
    }
    if (error)
        cae_file_close(out);
    return error;
}

void cae_file_close(cae_file *file) {
    free(file->tensors);
    memset(file, 0, sizeof *file);
}

static const cae_tensor *named(const cae_file *file, const char *name) {
    cae_tensor wanted = {.name = name, .length = strlen(name)};
    return file->count ? bsearch(&wanted, file->tensors, file->count, sizeof wanted, by_name) : NULL;
}

int cae_file_has(const cae_file *file, const char *name) { return named(file, name) != NULL; }

const void *cae_file_tensor(const cae_file *file, const char *name, int type, int dims, int64_t *shape) {
    const cae_tensor *found = named(file, name);
    if (found == NULL || found->type != type || found->dims != dims)
        return NULL;
    for (int i = 0; i < dims; i++)
        if (shape[i] != -1 && shape[i] != found->shape[i])
            return NULL;
    for (int i = 0; i < dims; i++)
        shape[i] = found->shape[i];
    return found->data;
}

int cae_file_metadata(const cae_file *file, const char *key, const char *value) {
    word found = strcmp(key, "family") == 0 ? (word){file->family, file->family_length}
                                            : (word){file->format, file->format_length};
    return found.start != NULL && equals(found, value);
}
