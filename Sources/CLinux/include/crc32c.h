// CRC32C (Castagnoli), the digest of RFC 7143 section 13.1 and of nothing else here.
#ifndef SDA_CRC32C_H
#define SDA_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/// The CRC32C of `length` bytes, continuing from `crc` (0 to begin). With SSE4.2 three streams run at once, which
/// hides the instruction's three cycles of latency; other processors take a table of 8 x 256 words.
uint32_t sda_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by table alone: the witness that tests compare the instruction with.
uint32_t sda_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

#endif
