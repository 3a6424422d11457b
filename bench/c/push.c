/* Devices that push as fast as they are answered (POST) or as the socket takes it (WebSocket).
 *
 * Every connection is a device: a `%d` in --url becomes its number. The bytes of a push are made once, at the start,
 * masking included, so that this program costs next to nothing and the server is what is measured.
 *
 *   --mode multipart   POST, keep-alive, one field (--field) with the picture; the answer is read before the next one
 *   --mode raw         the same with the JPEG as the body
 *   --mode ws          binary messages; --fragment 1024 splits each as esp_websocket_client does
 *
 * With --fragment a POST goes out in pieces of that size. After --seconds the WebSockets are closed in order, so that
 * the time covers the handling of all that was sent. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PART_BOUNDARY "FramecastBenchBoundary"
#define MAX_PICTURES 64
#define PATIENCE_NS 5000000000LL

enum mode { MULTIPART, RAW, WS };
enum state { UPGRADING, SENDING, ANSWERING, CLOSING, DONE };

struct device {
    int fd;
    enum state state;
    struct blob pushes[MAX_PICTURES];
    int next;
    size_t at; /* bytes of the current push already sent */
    char answer[4096];
    size_t answer_bytes;
    uint8_t reply[256]; /* a pong or close to be sent between messages */
    size_t reply_bytes;
    uint32_t events;
};

static struct {
    const char *url, *field;
    int connections, picture_count;
    enum mode mode;
    size_t fragment;
    double seconds;
    struct blob pictures[MAX_PICTURES];
} options = {.field = "frame", .connections = 1, .seconds = 2};

static int epoll_fd, live, time_is_up;
static uint64_t sent, accepted, refused, broken;
static char first_refusal[200];

static void want(struct device *device, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = device};
    if (device->events == events) return;
    epoll_ctl(epoll_fd, device->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, device->fd, &event);
    device->events = events;
}

static void finish(struct device *device, int in_order) {
    if (device->state == DONE) return;
    if (!in_order) broken++;
    close(device->fd);
    device->state = DONE;
    live--;
}

/* One masked client frame (RFC 6455, 5.2) at `at`; returns its size. */
static size_t ws_frame(uint8_t *at, int first_byte, const uint8_t *payload, size_t n) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t head = 2;

    at[0] = (uint8_t)first_byte;
    if (n < 126) {
        at[1] = (uint8_t)(0x80 | n);
    } else if (n < 65536) {
        at[1] = 0x80 | 126;
        at[2] = (uint8_t)(n >> 8);
        at[3] = (uint8_t)n;
        head = 4;
    } else {
        at[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++) at[2 + i] = (uint8_t)((uint64_t)n >> (8 * (7 - i)));
        head = 10;
    }
    memcpy(at + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < n; i++) at[head + i] = payload[i] ^ mask[i % 4];
    return head + n;
}

static struct blob ws_message(const struct blob *picture) {
    size_t fragment = options.fragment ? options.fragment : picture->size;
    struct blob push = {.data = need(malloc(picture->size + (picture->size / fragment + 1) * 16))};

    for (size_t at = 0; at < picture->size; at += fragment) {
        size_t n = picture->size - at < fragment ? picture->size - at : fragment;
        int final = at + n == picture->size ? 0x80 : 0;
        push.size += ws_frame(push.data + push.size, final | (at == 0 ? 2 : 0), picture->data + at, n);
    }
    return push;
}

static struct blob post_request(const struct url *url, const struct blob *picture) {
    char head[512], open[256] = "";
    const char *close_part = "", *type = "image/jpeg";
    int open_bytes = 0, head_bytes;
    size_t body_bytes;
    struct blob push;

    if (options.mode == MULTIPART) {
        type = "multipart/form-data; boundary=" PART_BOUNDARY;
        close_part = "\r\n--" PART_BOUNDARY "--\r\n";
        open_bytes = snprintf(open, sizeof open,
                              "--" PART_BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"; "
                              "filename=\"frame.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n",
                              options.field);
    }
    body_bytes = (size_t)open_bytes + picture->size + strlen(close_part);
    head_bytes = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                          url->path, url->host, url->port, type, body_bytes);
    push.size = (size_t)head_bytes + body_bytes;
    push.data = need(malloc(push.size));
    memcpy(push.data, head, (size_t)head_bytes);
    memcpy(push.data + head_bytes, open, (size_t)open_bytes);
    memcpy(push.data + head_bytes + open_bytes, picture->data, picture->size);
    memcpy(push.data + head_bytes + open_bytes + picture->size, close_part, strlen(close_part));
    return push;
}

static void start(struct device *device, int number) {
    char text[700], request[1024];
    struct url url;
    int n;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, options.url, number);
#pragma GCC diagnostic pop
    url = parse_url(text);
    for (int i = 0; i < options.picture_count; i++)
        device->pushes[i] =
            options.mode == WS ? ws_message(&options.pictures[i]) : post_request(&url, &options.pictures[i]);
    device->next = number % options.picture_count;
    device->fd = connect_now(&url);
    set_nonblocking(device->fd);
    live++;
    if (options.mode != WS) {
        device->state = SENDING;
        want(device, EPOLLIN | EPOLLOUT);
        return;
    }
    n = snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZnJhbWVjYXN0LWJlbmNoIQ==\r\n\r\n",
                 url.path, url.host, url.port);
    device->state = UPGRADING;
    if (send(device->fd, request, (size_t)n, MSG_NOSIGNAL) != n) finish(device, 0);
    want(device, EPOLLIN);
}

static void begin_close(struct device *device) {
    static const uint8_t normal[2] = {0x03, 0xE8};

    device->reply_bytes = ws_frame(device->reply, 0x88, normal, 2);
    device->state = CLOSING;
}

/* Sends until the socket is full or there is an answer to wait for. */
static void on_writable(struct device *device) {
    for (int burst = 0; burst < 16; burst++) {
        const struct blob *push = &device->pushes[device->next];
        size_t left = push->size - device->at;
        ssize_t n;

        if (device->at == 0 && device->state == SENDING && time_is_up) {
            if (options.mode != WS) {
                finish(device, 1);
                return;
            }
            begin_close(device);
        }
        if (device->at == 0 && device->reply_bytes) {
            n = send(device->fd, device->reply, device->reply_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) return;
            if (n != (ssize_t)device->reply_bytes) {
                finish(device, 0);
                return;
            }
            device->reply_bytes = 0;
        }
        if (device->state != SENDING) {
            want(device, EPOLLIN);
            return;
        }
        if (options.mode != WS && options.fragment && left > options.fragment) left = options.fragment;
        n = send(device->fd, push->data + device->at, left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            want(device, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            finish(device, 0);
            return;
        }
        device->at += (size_t)n;
        if (device->at < push->size) continue;
        device->at = 0;
        device->next = (device->next + 1) % options.picture_count;
        sent++;
        if (options.mode != WS) {
            device->state = ANSWERING;
            want(device, EPOLLIN);
            return;
        }
    }
    want(device, EPOLLIN | EPOLLOUT); /* the other devices' turn; this one goes on after them */
}

/* A whole answer to a POST at the buffer's start? Counts it and makes room for the next. */
static void take_answer(struct device *device) {
    const char *end = memmem(device->answer, device->answer_bytes, "\r\n\r\n", 4), *length;
    size_t head_bytes, whole;
    int status;

    if (!end) return;
    head_bytes = (size_t)(end - device->answer) + 4;
    length = find_header(device->answer, head_bytes, "content-length:");
    whole = head_bytes + (length ? (size_t)atoll(length) : 0);
    if (device->answer_bytes < whole) return;
    status = atoi(device->answer + 9);
    if (status >= 200 && status < 300) {
        accepted++;
    } else {
        refused++;
        if (!first_refusal[0]) {
            snprintf(first_refusal, sizeof first_refusal, "%.*s", (int)(whole < 190 ? whole : 190), device->answer);
            for (char *c = first_refusal; *c; c++)
                if (*c < ' ' || *c == '"' || *c == '\\') *c = ' ';
        }
    }
    memmove(device->answer, device->answer + whole, device->answer_bytes - whole);
    device->answer_bytes -= whole;
    device->state = SENDING;
    on_writable(device);
}

/* Answers pings; the server's close ends the device. Other frames (text) are read past. */
static void take_frames(struct device *device) {
    for (;;) {
        uint8_t *at = (uint8_t *)device->answer;
        size_t head = 2, n;

        if (device->answer_bytes < 2) return;
        n = at[1] & 127;
        if (n == 126) {
            if (device->answer_bytes < 4) return;
            n = (size_t)at[2] << 8 | at[3];
            head = 4;
        }
        if (device->answer_bytes < head + n) return;
        if ((at[0] & 15) == 8) {
            finish(device, device->state == CLOSING);
            return;
        }
        if ((at[0] & 15) == 9 && n < 126) {
            device->reply_bytes = ws_frame(device->reply, 0x8A, at + head, n);
            want(device, EPOLLIN | EPOLLOUT);
        }
        memmove(device->answer, device->answer + head + n, device->answer_bytes - head - n);
        device->answer_bytes -= head + n;
    }
}

static void on_readable(struct device *device) {
    ssize_t n = recv(device->fd, device->answer + device->answer_bytes, sizeof device->answer - device->answer_bytes,
                     MSG_DONTWAIT);
    const char *end;

    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        finish(device, device->state == CLOSING);
        return;
    }
    device->answer_bytes += (size_t)n;
    if (options.mode != WS) {
        if (device->state == ANSWERING) take_answer(device);
        return;
    }
    if (device->state == UPGRADING) {
        end = memmem(device->answer, device->answer_bytes, "\r\n\r\n", 4);
        if (!end) return;
        if (strncmp(device->answer + 9, "101", 3) != 0) {
            snprintf(first_refusal, sizeof first_refusal, "%.12s", device->answer);
            refused++;
            finish(device, 0);
            return;
        }
        device->answer_bytes -= (size_t)(end + 4 - device->answer);
        memmove(device->answer, end + 4, device->answer_bytes);
        device->state = SENDING;
        want(device, EPOLLIN | EPOLLOUT);
    }
    take_frames(device);
}

static void parse_options(int argc, char **argv) {
    static const struct option names[] = {
        {"url", 1, 0, 'u'},      {"connections", 1, 0, 'k'}, {"mode", 1, 0, 'm'},  {"fragment", 1, 0, 'f'},
        {"seconds", 1, 0, 's'},  {"picture", 1, 0, 'i'},     {"field", 1, 0, 'n'}, {0, 0, 0, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) switch (c) {
        case 'u': options.url = optarg; break;
        case 'k': options.connections = atoi(optarg); break;
        case 'm': options.mode = strcmp(optarg, "ws") == 0 ? WS : strcmp(optarg, "raw") == 0 ? RAW : MULTIPART; break;
        case 'f': options.fragment = (size_t)atol(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'n': options.field = optarg; break;
        case 'i':
            if (options.picture_count == MAX_PICTURES) die("too many pictures");
            options.pictures[options.picture_count++] = read_file(optarg);
            break;
        default: die("usage: push --url URL --picture FILE… [--mode multipart|raw|ws] [--connections K] [--fragment B]");
        }
    if (!options.url || options.picture_count == 0) die("push: a --url and a --picture are needed");
}

int main(int argc, char **argv) {
    struct epoll_event events[256];
    struct device *devices;
    int64_t from, until, ended;

    set_up_process();
    parse_options(argc, argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    devices = need(calloc((size_t)options.connections, sizeof *devices));
    for (int i = 0; i < options.connections; i++) start(&devices[i], i);
    from = now_ns();
    until = from + (int64_t)(options.seconds * 1e9);

    while (live > 0 && !stopping() && now_ns() < until + PATIENCE_NS) {
        int n = epoll_wait(epoll_fd, events, 256, 20);
        if (!time_is_up && now_ns() >= until) {
            time_is_up = 1;
            for (int i = 0; i < options.connections; i++)
                if (devices[i].state == SENDING) want(&devices[i], EPOLLIN | EPOLLOUT);
        }
        for (int i = 0; i < n; i++) {
            struct device *device = events[i].data.ptr;
            if (device->state != DONE && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(device);
            if (device->state != DONE && device->state != ANSWERING && events[i].events & EPOLLOUT) on_writable(device);
        }
    }
    ended = now_ns();
    printf("{\"seconds\": %.4f, \"sent\": %llu, \"accepted\": %llu, \"refused\": %llu, \"broken\": %llu, \"unfinished\": %d, "
           "\"first_refusal\": \"%s\"}\n",
           (double)(ended - from) / 1e9, (unsigned long long)sent, (unsigned long long)accepted,
           (unsigned long long)refused, (unsigned long long)broken, live, first_refusal);
    return 0;
}
