/* A parser of MJPEG over HTTP that keeps no picture: it tells where each part lies in the stream, what its
 * header lines and its stamp say, and when its last byte arrived. */
#ifndef FRAMECAST_BENCH_PARTS_H
#define FRAMECAST_BENCH_PARTS_H

#include <stddef.h>
#include <stdint.h>

struct part {
    uint64_t at;     /* bytes of the connection before this part's first body byte */
    int64_t id;      /* X-Frame-Id, -1 without one */
    int64_t number;  /* the stamp's frame number, -1 without a stamp */
    int64_t sent_ns; /* the stamp's time of sending */
    size_t bytes;    /* Content-Length */
};

struct parts {
    enum { PARTS_HTTP, PARTS_HEAD, PARTS_BODY } state;
    uint64_t at; /* bytes of the connection consumed, skipped ones included */
    char head[2048];
    size_t head_bytes;
    uint8_t first[64];
    size_t first_bytes, body_left;
    int status; /* of the HTTP answer; 0 before it */
    struct part part;
};

/* Consumes up to `n` bytes, to the end of one part at most; returns how many. `*whole` is set when a part ended. */
size_t parts_feed(struct parts *parts, const uint8_t *data, size_t n, int *whole);
/* Counts `n` bytes that were thrown away unread; the parser then finds the next part's header by itself. */
void parts_skip(struct parts *parts, uint64_t n);

#endif
