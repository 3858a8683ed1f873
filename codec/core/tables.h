/* tables.h: the frequency tables of a model (FORMAT.md, 6.1), prepared for decoding, and what symbols cost.
 *
 * There is one for each scale index, and behind these, where a model quantises dependently (trellis.h), two for each of the
 * largest scale indices. Symbols are int16_t, within -32767..32767; scale indices are uint8_t below 64, and numbers of tables
 * below their count, which callers see to. */
#ifndef CAE_TABLES_H
#define CAE_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum {
    CAE_SCALES = 64,
    CAE_MOST_TABLES = 3 * CAE_SCALES,
    CAE_SYMBOL_MAX = 32767,
    CAE_PRECISION = 24,  /* frequencies of a table sum to 2^24 */
    CAE_GUESS_BITS = 10, /* of a number below 2^24, from its top: what `guess` is looked up by */
};

/* The frequencies before an entry, and its own. */
typedef struct {
    uint32_t start, frequency;
} cae_guess;

typedef struct {
    const uint32_t *start; /* entries + 1 sums: of the frequencies before each entry; the last is 2^24 */
    const double *bits;    /* entries: what each costs */
    const cae_guess *guess;  /* 2^10: the entry that holds the number of these top bits and zeros below, */
    const uint16_t *guessed; /* 2^10 + 1: and which one it is */
    int32_t tail;          /* entry j is the symbol j - tail, entry 2*tail + 1 the escape */
    uint32_t mode;         /* the most frequent entry */
} cae_table;

typedef struct {
    cae_table table[CAE_MOST_TABLES];
    int dense; /* the least scale index that has tables for dependent quantisation; CAE_SCALES where none has */
    void *memory;
} cae_tables;

/* From the tensors `table.tail` (tails I32) and `table.frequencies` (count I32), at any alignment. CAE_OK, CAE_ERROR_MODEL or
 * CAE_ERROR_MEMORY; to be closed where it is CAE_OK. */
int cae_tables_open(cae_tables *tables, const void *tail, size_t tails, const void *frequencies, size_t count);
void cae_tables_close(cae_tables *tables);

/* The table of a dense scale index and a quantiser, 0 or 1. */
static inline int cae_table_number(const cae_tables *tables, int index, int second) {
    return CAE_SCALES + 2 * (index - tables->dense) + second;
}

/* Bits of one symbol under a table. A stream is longer than the sum over its symbols by a byte at most, and 2e-5 bytes a symbol. */
static inline double cae_symbol_bits(const cae_tables *tables, int symbol, int index) {
    const cae_table *t = &tables->table[index];
    int place = symbol + t->tail, escape = 2 * t->tail + 1;
    if ((unsigned)place < (unsigned)escape)
        return t->bits[place];
    unsigned excess = (unsigned)((symbol < 0 ? -symbol : symbol) - t->tail);
    return t->bits[escape] + 2 * (31 - __builtin_clz(excess)) + 2;
}

/* Bits of all of them. */
double cae_symbols_cost(const cae_tables *tables, const int16_t *symbols, const uint8_t *index, size_t count);

#endif
