#include "range_coder.h"

#include <string.h>

#include "cae.h"
#include "trellis.h"

enum {
    PARTS = 4,
    GAMMA_MAX_BITS = 16,
    HALF = 1 << (CAE_PRECISION - 1),
    PEAKED = HALF / 4 * 3, /* from this frequency on, the most frequent entry is asked for first: unless wrong, it is faster */
};

/* A batch in the order of its scale indices. Positions are cut into four parts with counters of their own, which then run
 * side by side: most indices of a picture are the same few, and one counter would wait for itself. */
typedef struct {
    size_t quarter;
    uint32_t begin[CAE_SCALES + 1];   /* of each index, in sorted order */
    uint32_t at[PARTS][CAE_SCALES]; /* of each index in each part */
} order;

static void order_of(order *o, const uint8_t *index, size_t count) {
    memset(o->at, 0, sizeof o->at);
    size_t quarter = o->quarter = count / PARTS;
    for (size_t i = 0; i < quarter; i++)
        for (size_t p = 0; p < PARTS; p++)
            o->at[p][index[p * quarter + i]]++;
    for (size_t i = PARTS * quarter; i < count; i++)
        o->at[PARTS - 1][index[i]]++;
    uint32_t total = 0;
    for (int k = 0; k < CAE_SCALES; k++) {
        o->begin[k] = total;
        for (int p = 0; p < PARTS; p++) {
            uint32_t here = o->at[p][k];
            o->at[p][k] = total;
            total += here;
        }
    }
    o->begin[CAE_SCALES] = total;
}

static void sort(order *o, const uint8_t *index, size_t count, const int16_t *given, int16_t *sorted) {
    size_t quarter = o->quarter;
    for (size_t i = 0; i < quarter; i++)
        for (size_t p = 0; p < PARTS; p++)
            sorted[o->at[p][index[p * quarter + i]]++] = given[p * quarter + i];
    for (size_t i = PARTS * quarter; i < count; i++)
        sorted[o->at[PARTS - 1][index[i]]++] = given[i];
}

static void sort_back(order *o, const uint8_t *index, size_t count, const int16_t *sorted, int16_t *out) {
    size_t quarter = o->quarter;
    for (size_t i = 0; i < quarter; i++)
        for (size_t p = 0; p < PARTS; p++)
            out[p * quarter + i] = sorted[o->at[p][index[p * quarter + i]]++];
    for (size_t i = PARTS * quarter; i < count; i++)
        out[i] = sorted[o->at[PARTS - 1][index[i]]++];
}

/* The next four bytes of the stream, zeros past its end. */
static uint32_t next_word(cae_decoder *d) {
    uint32_t word = 0;
    if (d->end - d->next >= 4) {
        word = (uint32_t)d->next[0] << 24 | (uint32_t)d->next[1] << 16 | (uint32_t)d->next[2] << 8 | d->next[3];
        d->next += 4;
        return word;
    }
    for (int i = 0; i < 4; i++)
        word = word << 8 | (d->next < d->end ? *d->next++ : 0);
    return word;
}

void cae_decoder_start(cae_decoder *decoder, const uint8_t *stream, size_t size) {
    *decoder = (cae_decoder){.range = UINT64_MAX, .next = stream, .end = stream + size};
    decoder->distance = (uint64_t)next_word(decoder) << 32;
    decoder->distance |= next_word(decoder);
}

/* What changes with every symbol, which has to stay in registers: its address is given to inlined functions alone. */
typedef struct {
    uint64_t range, distance;
    cae_decoder *rest;
} reading;

static inline reading read_on(cae_decoder *decoder) {
    return (reading){decoder->range, decoder->distance, decoder};
}

static inline void read_until(const reading *r) {
    r->rest->range = r->range;
    r->rest->distance = r->distance;
}

static inline void refill(reading *r) {
    if (r->range >> 32 == 0) {
        r->distance = r->distance << 32 | next_word(r->rest);
        r->range <<= 32;
    }
}

/* The entry that holds the distance, of those that a number of these top bits may be in. */
static uint32_t search(const cae_table *t, uint64_t scale, uint64_t distance, uint64_t top) {
    uint32_t entry = t->guessed[top], highest = t->guessed[top + 1];
    while (highest - entry > 8) { /* a table of many narrow entries must not cost more than a few steps */
        uint32_t middle = (entry + highest + 1) / 2;
        if (scale * t->start[middle] <= distance)
            entry = middle;
        else
            highest = middle - 1;
    }
    while (scale * t->start[entry + 1] <= distance)
        entry++;
    return entry;
}

/* The next entry, or -1. Starts are multiplied to be compared with the distance, for a product is there sooner than a
 * quotient: all that is divided are the bits that `guess` needs, and divisions take as long as their quotient has bits. */
static inline int32_t decode_entry(reading *r, const cae_table *t) {
    uint64_t scale = r->range >> CAE_PRECISION;
    uint64_t top = r->distance / (scale << (CAE_PRECISION - CAE_GUESS_BITS));
    if (top >> CAE_GUESS_BITS)
        return -1;
    cae_guess guess = t->guess[top];
    uint32_t entry = t->guessed[top];
    uint64_t distance = r->distance - scale * guess.start, range = scale * guess.frequency;
    if (distance >= range) {
        entry = search(t, scale, r->distance, top);
        distance = r->distance - scale * t->start[entry];
        range = scale * (t->start[entry + 1] - t->start[entry]);
    }
    r->distance = distance;
    r->range = range;
    refill(r);
    return (int32_t)entry;
}

/* As `decode_entry`: asks for the most frequent entry first, which takes no division. */
static inline int32_t decode_peaked(reading *r, const cae_table *t, uint32_t start, uint32_t frequency) {
    uint64_t scale = r->range >> CAE_PRECISION;
    uint64_t distance = r->distance - scale * start, range = scale * frequency;
    if (distance >= range) /* above it, or below and wrapped around */
        return decode_entry(r, t);
    r->distance = distance;
    r->range = range;
    refill(r);
    return (int32_t)t->mode;
}

/* Symbols of one table; an escape is tail + 1. Returns how many of them there are, or -1. */
static int64_t decode_run(cae_decoder *decoder, const cae_table *t, int16_t *out, size_t count) {
    reading r = read_on(decoder);
    int32_t tail = t->tail, escape = 2 * tail + 1, entry;
    uint32_t start = t->start[t->mode], frequency = t->start[t->mode + 1] - start;
    int64_t escapes = 0;
    if (frequency >= PEAKED)
        for (size_t i = 0; i < count; i++) {
            if ((entry = decode_peaked(&r, t, start, frequency)) < 0)
                return -1;
            escapes += entry == escape;
            out[i] = (int16_t)(entry - tail);
        }
    else
        for (size_t i = 0; i < count; i++) {
            if ((entry = decode_entry(&r, t)) < 0)
                return -1;
            escapes += entry == escape;
            out[i] = (int16_t)(entry - tail);
        }
    read_until(&r);
    return escapes;
}

/* 0, 1 or -1. */
static int decode_bit(reading *r) {
    uint64_t half = (r->range >> CAE_PRECISION) * HALF;
    int bit = r->distance >= half;
    if (bit)
        r->distance -= half;
    if (r->distance >= half)
        return -1;
    r->range = half;
    refill(r);
    return bit;
}

/* The symbol of an escape, or 0. */
static int32_t decode_escape(cae_decoder *decoder, int32_t tail) {
    reading r = read_on(decoder);
    int length = 1, bit;
    while ((bit = decode_bit(&r)) == 0)
        if (++length > GAMMA_MAX_BITS)
            return 0;
    if (bit < 0)
        return 0;
    int32_t excess = 1;
    while (--length) {
        if ((bit = decode_bit(&r)) < 0)
            return 0;
        excess = excess << 1 | bit;
    }
    if (tail + excess > CAE_SYMBOL_MAX || (bit = decode_bit(&r)) < 0)
        return 0;
    read_until(&r);
    return bit ? -(tail + excess) : tail + excess;
}

/* Symbols of one table, and then what its escapes stand for. */
static int decode_whole_run(cae_decoder *decoder, const cae_table *t, int16_t *run, size_t count) {
    int16_t mark = (int16_t)(t->tail + 1);
    int64_t escapes = decode_run(decoder, t, run, count);
    if (escapes < 0)
        return CAE_ERROR_STREAM;
    for (; escapes; run++) {
        if (*run != mark)
            continue;
        escapes--;
        int32_t symbol = decode_escape(decoder, t->tail);
        if (symbol == 0)
            return CAE_ERROR_STREAM;
        *run = (int16_t)symbol;
    }
    return CAE_OK;
}

/* Symbols of one dense scale index from a state on, twice as large, plus their quantiser. Escapes follow at once. */
static int decode_path(cae_decoder *decoder, const cae_tables *tables, int index, int *at, int16_t *out, size_t count) {
    const cae_table *both = &tables->table[cae_table_number(tables, index, 0)];
    reading r = read_on(decoder);
    int state = *at;
    for (size_t i = 0; i < count; i++) {
        const cae_table *t = &both[state & 1];
        uint32_t start = t->start[t->mode], frequency = t->start[t->mode + 1] - start;
        int32_t entry = frequency >= PEAKED ? decode_peaked(&r, t, start, frequency) : decode_entry(&r, t);
        if (entry < 0)
            return CAE_ERROR_STREAM;
        int32_t symbol = entry - t->tail;
        if (symbol > t->tail) {
            read_until(&r);
            symbol = decode_escape(decoder, t->tail);
            r = read_on(decoder);
        }
        if ((symbol == 0 && entry != t->tail) || symbol > CAE_DEPENDENT_MAX || symbol < -CAE_DEPENDENT_MAX)
            return CAE_ERROR_STREAM;
        out[i] = (int16_t)(2 * symbol + (state & 1));
        state = CAE_NEXT_STATE[state][symbol & 1];
    }
    read_until(&r);
    *at = state;
    return CAE_OK;
}

int cae_decoder_batch(cae_decoder *decoder, const cae_tables *tables, const uint8_t *index, size_t count,
                      int16_t *symbols, int16_t *work) {
    order o;
    order_of(&o, index, count);
    int error = CAE_OK;
    for (int k = 0; k < CAE_SCALES && !error; k++)
        error = decode_whole_run(decoder, &tables->table[k], work + o.begin[k], o.begin[k + 1] - o.begin[k]);
    if (!error)
        sort_back(&o, index, count, work, symbols);
    return error;
}

int cae_decoder_dependent(cae_decoder *decoder, const cae_tables *tables, const uint8_t *index, size_t count,
                          int16_t *symbols, uint8_t *number, int16_t *work) {
    order o;
    order_of(&o, index, count);
    int error = CAE_OK, state = 0;
    for (int k = 0; k < CAE_SCALES && !error; k++) {
        int16_t *run = work + o.begin[k];
        size_t length = o.begin[k + 1] - o.begin[k];
        error = k < tables->dense ? decode_whole_run(decoder, &tables->table[k], run, length)
                                  : decode_path(decoder, tables, k, &state, run, length);
    }
    if (error)
        return error;
    sort_back(&o, index, count, work, symbols);
    for (size_t i = 0; i < count; i++) {
        number[i] = index[i];
        if (index[i] >= tables->dense) {
            int second = symbols[i] & 1;
            number[i] = (uint8_t)cae_table_number(tables, index[i], second);
            symbols[i] = (int16_t)((symbols[i] - second) / 2);
        }
    }
    return CAE_OK;
}

void cae_encoder_start(cae_encoder *encoder, uint8_t *bytes, size_t capacity) {
    *encoder = (cae_encoder){.range = UINT64_MAX, .bytes = bytes, .capacity = capacity};
}

static void carry(cae_encoder *e) {
    size_t at = e->size; /* what has been written is a fraction below 1: this ends before its first byte */
    while (++e->bytes[--at] == 0)
        ;
}

/* Room for `count` bytes. */
static inline int has_room(const cae_encoder *e, size_t count) {
    return e->capacity - e->size >= count;
}

/* The upper 32 bits of `low`. */
static int write_word(cae_encoder *e, uint64_t low) {
    if (!has_room(e, 4))
        return CAE_ERROR_ARGUMENT;
    uint8_t word[4] = {(uint8_t)(low >> 56), (uint8_t)(low >> 48), (uint8_t)(low >> 40), (uint8_t)(low >> 32)};
    memcpy(e->bytes + e->size, word, 4);
    e->size += 4;
    return CAE_OK;
}

/* As `reading`. */
typedef struct {
    uint64_t low, range;
    cae_encoder *rest;
} writing;

static inline writing write_on(cae_encoder *encoder) {
    return (writing){encoder->low, encoder->range, encoder};
}

static inline void write_until(const writing *w) {
    w->rest->low = w->low;
    w->rest->range = w->range;
}

static inline int encode(writing *w, uint32_t start, uint32_t frequency) {
    uint64_t scale = w->range >> CAE_PRECISION, low = w->low + scale * start;
    if (low < w->low)
        carry(w->rest);
    w->low = low;
    w->range = scale * frequency;
    if (w->range >> 32)
        return CAE_OK;
    w->low <<= 32;
    w->range <<= 32;
    return write_word(w->rest, low);
}

static inline int encode_bit(writing *w, int bit) {
    return encode(w, bit ? HALF : 0, HALF);
}

static int encode_escape(cae_encoder *encoder, int32_t symbol, int32_t tail) {
    writing w = write_on(encoder);
    int32_t excess = (symbol < 0 ? -symbol : symbol) - tail;
    if (excess + tail > CAE_SYMBOL_MAX)
        return CAE_ERROR_ARGUMENT;
    int length = 32 - __builtin_clz((unsigned)excess), error = CAE_OK;
    for (int i = 1; i < length && !error; i++)
        error = encode_bit(&w, 0);
    for (int i = length - 1; i >= 0 && !error; i--)
        error = encode_bit(&w, excess >> i & 1);
    if (!error)
        error = encode_bit(&w, symbol < 0);
    write_until(&w);
    return error;
}

/* Symbols of one table, and then their escapes. */
static int encode_run(cae_encoder *encoder, const cae_table *t, const int16_t *symbols, size_t count) {
    writing w = write_on(encoder);
    const uint32_t *starts = t->start;
    int32_t tail = t->tail;
    uint32_t escape = 2 * (uint32_t)tail + 1;
    size_t escapes = 0;
    int error = CAE_OK;
    for (size_t i = 0; i < count && !error; i++) {
        uint32_t entry = (uint32_t)(symbols[i] + tail); /* above all others where it is negative */
        if (entry >= escape) {
            entry = escape;
            escapes++;
        }
        error = encode(&w, starts[entry], starts[entry + 1] - starts[entry]);
    }
    write_until(&w);
    for (size_t i = 0; escapes && !error; i++)
        if ((uint32_t)(symbols[i] + tail) >= escape) {
            error = encode_escape(encoder, symbols[i], tail);
            escapes--;
        }
    return error;
}

int cae_encoder_batch(cae_encoder *encoder, const cae_tables *tables, const uint8_t *index, size_t count,
                      const int16_t *symbols, int16_t *work) {
    order o;
    order_of(&o, index, count);
    sort(&o, index, count, symbols, work);
    int error = CAE_OK;
    for (int k = 0; k < CAE_SCALES && !error; k++)
        error = encode_run(encoder, &tables->table[k], work + o.begin[k], o.begin[k + 1] - o.begin[k]);
    return error;
}

/* As `decode_path`. */
static int encode_path(cae_encoder *encoder, const cae_tables *tables, int index, const int16_t *packed, size_t count) {
    const cae_table *both = &tables->table[cae_table_number(tables, index, 0)];
    writing w = write_on(encoder);
    int error = CAE_OK;
    for (size_t i = 0; i < count && !error; i++) {
        int second = packed[i] & 1, symbol = (packed[i] - second) / 2;
        const cae_table *t = &both[second];
        uint32_t entry = (uint32_t)(symbol + t->tail), escape = 2 * (uint32_t)t->tail + 1;
        int inside = entry < escape;
        entry = inside ? entry : escape;
        error = encode(&w, t->start[entry], t->start[entry + 1] - t->start[entry]);
        if (!inside && !error) {
            write_until(&w);
            error = encode_escape(encoder, symbol, t->tail);
            w = write_on(encoder);
        }
    }
    write_until(&w);
    return error;
}

int cae_encoder_dependent(cae_encoder *encoder, const cae_tables *tables, const uint8_t *index, const uint8_t *number,
                          size_t count, const int16_t *symbols, int16_t *work) {
    order o;
    int16_t *packed = work + count;
    for (size_t i = 0; i < count; i++)
        packed[i] = number[i] < CAE_SCALES ? symbols[i] : (int16_t)(2 * symbols[i] + (number[i] & 1));
    order_of(&o, index, count);
    sort(&o, index, count, packed, work);
    int error = CAE_OK;
    for (int k = 0; k < CAE_SCALES && !error; k++) {
        const int16_t *run = work + o.begin[k];
        size_t length = o.begin[k + 1] - o.begin[k];
        error = k < tables->dense ? encode_run(encoder, &tables->table[k], run, length)
                                  : encode_path(encoder, tables, k, run, length);
    }
    return error;
}

/* Any number from `low` up to and without `low + range` ends the stream: the one that ends in most zero bytes. */
int cae_encoder_finish(cae_encoder *e, size_t *size) {
    uint64_t last = e->low + e->range - 1, number = last;
    if (last < e->low) { /* 2^64 lies inside: a carry, and nothing but zeros after it */
        carry(e);
        number = 0;
    } else if (e->low == 0) {
        number = 0;
    } else {
        for (int zeros = 56; zeros > 0; zeros -= 8)
            if (last >> zeros << zeros >= e->low) {
                number = last >> zeros << zeros;
                break;
            }
    }
    for (; number; number <<= 8) {
        if (!has_room(e, 1))
            return CAE_ERROR_ARGUMENT;
        e->bytes[e->size++] = (uint8_t)(number >> 56);
    }
    while (e->size && e->bytes[e->size - 1] == 0)
        e->size--;
    *size = e->size;
    return CAE_OK;
}
