// Decompression of qcow2 clusters: raw deflate streams (RFC 1951) of one cluster each.
#ifndef SDA_INFLATE_H
#define SDA_INFLATE_H
#include <stddef.h>

/// Inflates until `to` is full or the stream ends; never writes past `to_count`.
/// Returns the bytes written, -1 if the stream is not deflate.
long sda_inflate(const void *from, size_t from_count, void *to, size_t to_count);

#endif
