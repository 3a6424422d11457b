#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number) {
    (void)signal_number;
    stop_asked = 1;
}

int stopping(void) { return stop_asked; }

int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

_Noreturn void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void set_up_process(void) {
    struct rlimit limit;
    struct sigaction action = {.sa_handler = on_stop};

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

void *need(void *memory) {
    if (!memory) die("out of memory");
    return memory;
}

struct blob read_file(const char *path) {
    struct blob blob;
    FILE *file = fopen(path, "rb");
    long size;

    if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 4) die("%s: no such picture", path);
    rewind(file);
    blob.size = (size_t)size;
    blob.data = need(malloc(blob.size));
    if (fread(blob.data, 1, blob.size, file) != blob.size) die("%s: cannot be read", path);
    fclose(file);
    if (blob.data[0] != 0xFF || blob.data[1] != 0xD8) die("%s: not a JPEG", path);
    return blob;
}

static void put_be(uint8_t *at, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) at[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

void stamp_write(uint8_t *at, uint64_t number, int64_t sent_ns) {
    memcpy(at, "\xFF\xFE\x00\x16"
               "FCB1",
           8);
    put_be(at + 8, number, 8);
    put_be(at + 16, (uint64_t)sent_ns, 8);
}

int stamp_read(const uint8_t *jpeg, size_t n, struct stamp *out) {
    if (n < 2 + STAMP_BYTES || memcmp(jpeg + 2, "\xFF\xFE\x00\x16"
                                                "FCB1",
                                      8) != 0)
        return 0;
    out->number = get_be(jpeg + 10, 8);
    out->sent_ns = (int64_t)get_be(jpeg + 18, 8);
    return 1;
}

struct url parse_url(const char *text) {
    struct url url = {.port = 80, .path = "/"};
    const char *rest = text, *slash, *colon;
    size_t host_bytes;

    if (strncmp(rest, "http://", 7) == 0) rest += 7;
    if (strncmp(rest, "ws://", 5) == 0) rest += 5;
    slash = strchr(rest, '/');
    host_bytes = slash ? (size_t)(slash - rest) : strlen(rest);
    colon = memchr(rest, ':', host_bytes);
    if (colon) {
        url.port = atoi(colon + 1);
        host_bytes = (size_t)(colon - rest);
    }
    if (host_bytes == 0 || host_bytes >= sizeof url.host || url.port <= 0) die("%s: not a URL", text);
    memcpy(url.host, rest, host_bytes);
    if (slash) snprintf(url.path, sizeof url.path, "%s", slash);
    return url;
}

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK); }

void set_nodelay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static struct sockaddr_in resolve(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;

    if (inet_pton(AF_INET, host, &address.sin_addr) == 1) return address;
    if (getaddrinfo(host, NULL, &hints, &found) != 0) die("%s: unknown host", host);
    address.sin_addr = ((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr;
    freeaddrinfo(found);
    return address;
}

int listen_on(const char *host, int port, int backlog, int *bound) {
    struct sockaddr_in address = resolve(host, port);
    socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) die("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, backlog) != 0)
        die("port %d: %s", port, strerror(errno));
    getsockname(fd, (struct sockaddr *)&address, &size);
    *bound = ntohs(address.sin_port);
    return fd;
}

int start_connect(const struct url *url, int receive_buffer, const char *from) {
    struct sockaddr_in address = resolve(url->host, url->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) die("socket: %s", strerror(errno));
    if (receive_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    set_nodelay(fd);
    if (from) {
        struct sockaddr_in source = resolve(from, 0);
        if (bind(fd, (struct sockaddr *)&source, sizeof source) != 0) die("%s: %s", from, strerror(errno));
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

int connect_now(const struct url *url) {
    struct sockaddr_in address = resolve(url->host, url->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("%s:%d: %s", url->host, url->port, strerror(errno));
    set_nodelay(fd);
    return fd;
}

int leading_number(const char *path) {
    return path[0] == '/' && isdigit((unsigned char)path[1]) ? atoi(path + 1) : 0;
}

const char *find_header(const char *head, size_t n, const char *name) {
    size_t length = strlen(name), i;

    for (size_t at = 0; at + length <= n; at++) {
        for (i = 0; i < length && tolower((unsigned char)head[at + i]) == name[i]; i++) {}
        if (i < length) continue;
        for (at += length; at < n && head[at] == ' '; at++) {}
        return head + at;
    }
    return NULL;
}
