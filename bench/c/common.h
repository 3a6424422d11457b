/* What the four programs share: the clock, sockets, the stamp inside a picture, small parsing. */
#ifndef FRAMECAST_BENCH_COMMON_H
#define FRAMECAST_BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The stamp is a JPEG comment (COM) right after SOI, so that any relay which passes a device's bytes through
 * carries it to the viewer: FF FE, u16 length 22, "FCB1", u64 frame number, i64 CLOCK_MONOTONIC ns of sending
 * (big-endian). It is the whole latency probe: no clock but this machine's is involved. */
#define STAMP_BYTES 24

struct stamp {
    uint64_t number;
    int64_t sent_ns;
};

void stamp_write(uint8_t *at, uint64_t number, int64_t sent_ns);
/* `jpeg` starts at SOI; 0 when there is no stamp in its first `n` bytes. */
int stamp_read(const uint8_t *jpeg, size_t n, struct stamp *out);

struct blob {
    uint8_t *data;
    size_t size;
};

struct url {
    char host[128];
    int port;
    char path[512];
};

int64_t now_ns(void);
_Noreturn void die(const char *format, ...);
/* Descriptors to the hard limit, no SIGPIPE, and an end with the parent: a bench that dies leaves nothing running. */
void set_up_process(void);
/* True after SIGTERM or SIGINT. */
int stopping(void);

void *need(void *memory);
struct blob read_file(const char *path);
struct url parse_url(const char *text);
void set_nonblocking(int fd);
void set_nodelay(int fd);
/* A listening, non-blocking socket; port 0 takes a free one. Returns the descriptor, `*bound` the port. */
int listen_on(const char *host, int port, int backlog, int *bound);
/* A non-blocking connection under way; `receive_buffer` > 0 sets SO_RCVBUF before the handshake, `from` (an address
 * of this machine, or NULL) is where it comes from. */
int start_connect(const struct url *url, int receive_buffer, const char *from);
/* A connection that is up, blocking. */
int connect_now(const struct url *url);

/* The number in front of a path's second part: "/7/stream" is 7, "/stream" 0. */
int leading_number(const char *path);
/* The value after `name` (lower case, with its colon) in `n` bytes of header lines; NULL if absent. Any case. */
const char *find_header(const char *head, size_t n, const char *name);

#endif
