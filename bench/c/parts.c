#define _GNU_SOURCE
#include "parts.h"

#include "common.h"

#include <stdlib.h>
#include <string.h>

/* Header bytes kept when the buffer fills, which happens only while the parser looks for its place in a stream. */
#define KEPT_BYTES 512

static void on_head(struct parts *parts, const char *length) {
    const char *id = find_header(parts->head, parts->head_bytes, "x-frame-id:");

    parts->part = (struct part){.at = parts->at, .id = id ? atoll(id) : -1, .number = -1};
    parts->part.bytes = parts->body_left = (size_t)atoll(length);
    parts->first_bytes = 0;
    parts->state = PARTS_BODY;
}

static void on_http_head(struct parts *parts) {
    const char *end = memmem(parts->head, parts->head_bytes, "\r\n\r\n", 4);

    if (!end) return;
    parts->status = parts->head_bytes > 12 ? atoi(parts->head + 9) : -1;
    parts->state = PARTS_HEAD;
    parts->head_bytes = 0;
}

/* One header byte at a time until the blank line: headers are short, and what follows must stay unconsumed. */
static size_t feed_head(struct parts *parts, const uint8_t *data, size_t n) {
    size_t used = 0;

    while (used < n && parts->state != PARTS_BODY) {
        if (parts->head_bytes == sizeof parts->head) {
            memmove(parts->head, parts->head + sizeof parts->head - KEPT_BYTES, KEPT_BYTES);
            parts->head_bytes = KEPT_BYTES;
        }
        parts->head[parts->head_bytes++] = (char)data[used++];
        parts->at++;
        if (parts->head[parts->head_bytes - 1] != '\n' || parts->head_bytes < 4 ||
            memcmp(parts->head + parts->head_bytes - 4, "\r\n\r\n", 4) != 0)
            continue;
        if (parts->state == PARTS_HTTP) {
            on_http_head(parts);
        } else {
            const char *length = find_header(parts->head, parts->head_bytes, "content-length:");
            if (length) on_head(parts, length);
        }
    }
    return used;
}

size_t parts_feed(struct parts *parts, const uint8_t *data, size_t n, int *whole) {
    size_t used = 0, take;
    struct stamp stamp;

    *whole = 0;
    if (parts->state != PARTS_BODY) used = feed_head(parts, data, n);
    if (parts->state != PARTS_BODY) return used;
    take = n - used < parts->body_left ? n - used : parts->body_left;
    if (parts->first_bytes < sizeof parts->first) {
        size_t room = sizeof parts->first - parts->first_bytes, some = take < room ? take : room;
        memcpy(parts->first + parts->first_bytes, data + used, some);
        parts->first_bytes += some;
    }
    parts->body_left -= take;
    parts->at += take;
    if (parts->body_left == 0) {
        if (stamp_read(parts->first, parts->first_bytes, &stamp)) {
            parts->part.number = (int64_t)stamp.number;
            parts->part.sent_ns = stamp.sent_ns;
        }
        parts->state = PARTS_HEAD;
        parts->head_bytes = 0;
        *whole = 1;
    }
    return used + take;
}

void parts_skip(struct parts *parts, uint64_t n) {
    parts->at += n;
    parts->state = PARTS_HEAD;
    parts->head_bytes = 0;
}
