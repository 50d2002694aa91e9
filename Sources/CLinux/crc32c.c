#include "crc32c.h"
#include <string.h>

// The polynomial 0x1EDC6F41, bits reversed, as a reflected CRC wants it.
#define POLYNOMIAL 0x82f63b78u
// Bytes of one of the three streams; a round eats three such blocks.
#define LONG_BLOCK 4096u
#define SHORT_BLOCK 256u

// slice[k][b]: the CRC of byte b followed by k zero bytes.
static uint32_t slice[8][256];
// advance[k][b]: what byte k of a CRC becomes after a block of zero bytes; four of them, xored, move a whole CRC.
static uint32_t advance_long[4][256];
static uint32_t advance_short[4][256];
static int has_instruction;

static uint32_t advance(uint32_t table[4][256], uint32_t crc) {
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^ table[3][crc >> 24];
}

static void fill_advance(uint32_t table[4][256], size_t block) {
    // One bit of the CRC moved over the block gives a column; a table entry is the xor of its columns.
    uint32_t column[32];
    for (int bit = 0; bit < 32; bit++) {
        uint32_t crc = 1u << bit;
        for (size_t i = 0; i < block; i++) crc = slice[0][crc & 0xff] ^ crc >> 8;
        column[bit] = crc;
    }
    for (int part = 0; part < 4; part++)
        for (unsigned byte = 0; byte < 256; byte++) {
            uint32_t sum = 0;
            for (int bit = 0; bit < 8; bit++)
                if (byte >> bit & 1) sum ^= column[part * 8 + bit];
            table[part][byte] = sum;
        }
}

// Before main, so that no call pays for a check and no two threads race.
__attribute__((constructor)) static void fill_tables(void) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        slice[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        for (int k = 1; k < 8; k++) slice[k][byte] = slice[0][slice[k - 1][byte] & 0xff] ^ slice[k - 1][byte] >> 8;
    fill_advance(advance_long, LONG_BLOCK);
    fill_advance(advance_short, SHORT_BLOCK);
#if defined(__x86_64__)
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

uint32_t sda_crc32c_portable(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; length >= 8; length -= 8, at += 8) {
        uint32_t low = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        low ^= crc;
        crc = slice[7][low & 0xff] ^ slice[6][low >> 8 & 0xff] ^ slice[5][low >> 16 & 0xff] ^ slice[4][low >> 24]
            ^ slice[3][at[4]] ^ slice[2][at[5]] ^ slice[1][at[6]] ^ slice[0][at[7]];
    }
    while (length--) crc = slice[0][(crc ^ *at++) & 0xff] ^ crc >> 8;
    return ~crc;
}

#if defined(__x86_64__)
static uint64_t word(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// Runs blocks of three streams; gives back the CRC and moves the cursor.
__attribute__((target("sse4.2")))
static uint64_t triple(uint64_t crc, const uint8_t **cursor, size_t *length, size_t block, uint32_t table[4][256]) {
    const uint8_t *at = *cursor;
    while (*length >= 3 * block) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < block; i += 8) {
            crc = __builtin_ia32_crc32di(crc, word(at + i));
            second = __builtin_ia32_crc32di(second, word(at + block + i));
            third = __builtin_ia32_crc32di(third, word(at + 2 * block + i));
        }
        crc = advance(table, (uint32_t)crc) ^ (uint32_t)second;
        crc = advance(table, (uint32_t)crc) ^ (uint32_t)third;
        at += 3 * block;
        *length -= 3 * block;
    }
    *cursor = at;
    return crc;
}

__attribute__((target("sse4.2")))
static uint32_t by_instruction(uint32_t start, const uint8_t *at, size_t length) {
    uint64_t crc = ~start;
    crc = triple(crc, &at, &length, LONG_BLOCK, advance_long);
    crc = triple(crc, &at, &length, SHORT_BLOCK, advance_short);
    for (; length >= 8; length -= 8, at += 8) crc = __builtin_ia32_crc32di(crc, word(at));
    while (length--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *at++);
    return ~(uint32_t)crc;
}
#endif

uint32_t sda_crc32c(uint32_t crc, const void *bytes, size_t length) {
#if defined(__x86_64__)
    if (has_instruction) return by_instruction(crc, bytes, length);
#endif
    return sda_crc32c_portable(crc, bytes, length);
}
