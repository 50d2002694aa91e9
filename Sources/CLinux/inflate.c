#include "CLinux.h"
#include <limits.h>
#include <string.h>
#include <zlib.h>

long sda_inflate(const void *from, size_t from_count, void *to, size_t to_count) {
    if (from_count > INT_MAX || to_count > INT_MAX) return -1;
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    // A negative window size means a raw stream. QEMU writes windows of 2^12 bytes; a larger one reads them too.
    if (inflateInit2(&stream, -15) != Z_OK) return -1;
    stream.next_in = (unsigned char *)(size_t)from;
    stream.avail_in = (unsigned)from_count;
    stream.next_out = to;
    stream.avail_out = (unsigned)to_count;
    int result = inflate(&stream, Z_FINISH);
    size_t written = to_count - stream.avail_out;
    inflateEnd(&stream);
    // The stored length is in whole sectors, so there may be bytes behind the stream (Z_BUF_ERROR with a full output).
    if (result == Z_STREAM_END || (result == Z_BUF_ERROR && stream.avail_out == 0)) return (long)written;
    return -1;
}
