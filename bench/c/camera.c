/* N cameras over HTTP MJPEG as Espressif's CameraWebServer writes it, to any number of readers.
 *
 * Three chunks a frame: the boundary (which precedes its part), the part's header, the JPEG. X-Timestamp is the
 * uptime and starts anew with the program. Camera 3 of several is http://HOST:PORT/3/stream; /stream is camera 0.
 * With --fps 0 each reader is given frames as fast as its socket takes them.
 *
 * Prints `listening PORT`, then `first-byte NS` (CLOCK_MONOTONIC) when it answers its first reader, and on SIGTERM
 * one line of JSON with its counts.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BOUNDARY "123456789000000000000987654321"

struct reader {
    int fd, camera, streaming, gone;
    char request[2048];
    size_t request_bytes;
    uint8_t *rest; /* what the socket did not take of the last frame */
    size_t rest_bytes, rest_at, rest_room;
    uint64_t frames;
    struct reader *next_gone;
};

static struct {
    int cameras, stamped;
    double fps;
    uint64_t cut_after;
    struct blob pictures[64];
    int picture_count;
} options = {.cameras = 1, .stamped = 1, .fps = 30};

static int epoll_fd;
static int64_t started_ns;
static struct reader **readers;
static size_t reader_count, reader_room;
static struct reader *gone;
static uint64_t frames_made, frames_sent, frames_skipped, connects;
static int first_byte_told;
static uint8_t *frame;
static size_t frame_room;

static void drop(struct reader *reader) {
    if (reader->gone) return;
    reader->gone = 1;
    close(reader->fd);
    for (size_t i = 0; i < reader_count; i++)
        if (readers[i] == reader) {
            readers[i] = readers[--reader_count];
            break;
        }
    reader->next_gone = gone; /* freed after the batch of events, which may name it again */
    gone = reader;
}

static void want(struct reader *reader, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = reader};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, reader->fd, &event);
}

/* The bytes of one frame, in `frame`. */
static size_t build_frame(uint64_t number) {
    const struct blob *picture = &options.pictures[number % (uint64_t)options.picture_count];
    size_t jpeg_bytes = picture->size + (options.stamped ? STAMP_BYTES : 0), n, head_bytes;
    int64_t sent_ns = now_ns(), uptime_us = (sent_ns - started_ns) / 1000;
    char head[160];
    uint8_t *at;

    if (frame_room < jpeg_bytes + 512) frame = need(realloc(frame, frame_room = jpeg_bytes + 512));
    head_bytes = (size_t)snprintf(head, sizeof head,
                                  "Content-Type: image/jpeg\r\nContent-Length: %zu\r\nX-Timestamp: %lld.%06lld\r\n\r\n",
                                  jpeg_bytes, (long long)(uptime_us / 1000000), (long long)(uptime_us % 1000000));
    n = (size_t)sprintf((char *)frame, "24\r\n\r\n--" BOUNDARY "\r\n\r\n%zx\r\n%s\r\n%zx\r\n", head_bytes, head,
                        jpeg_bytes);
    at = frame + n;
    if (options.stamped) {
        memcpy(at, picture->data, 2);
        stamp_write(at + 2, number, sent_ns);
        memcpy(at + 2 + STAMP_BYTES, picture->data + 2, picture->size - 2);
    } else {
        memcpy(at, picture->data, picture->size);
    }
    at += jpeg_bytes;
    memcpy(at, "\r\n", 2);
    return (size_t)(at + 2 - frame);
}

static void send_frame(struct reader *reader, size_t n) {
    ssize_t sent;

    if (reader->rest_bytes > reader->rest_at) {
        frames_skipped++;
        return;
    }
    sent = send(reader->fd, frame, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) {
            drop(reader);
            return;
        }
        sent = 0;
    }
    if (sent == 0) {
        frames_skipped++;
        return;
    }
    frames_sent++;
    reader->frames++;
    if ((size_t)sent < n) {
        reader->rest_bytes = n - (size_t)sent;
        reader->rest_at = 0;
        if (reader->rest_room < n) reader->rest = need(realloc(reader->rest, reader->rest_room = n));
        memcpy(reader->rest, frame + sent, reader->rest_bytes);
        want(reader, EPOLLIN | EPOLLOUT);
    } else if (options.cut_after && reader->frames >= options.cut_after) {
        drop(reader);
    }
}

static void on_writable(struct reader *reader) {
    if (reader->rest_bytes > reader->rest_at) {
        ssize_t sent = send(reader->fd, reader->rest + reader->rest_at, reader->rest_bytes - reader->rest_at,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            drop(reader);
            return;
        }
        if (sent > 0) reader->rest_at += (size_t)sent;
        if (reader->rest_at < reader->rest_bytes) return;
        if (options.cut_after && reader->frames >= options.cut_after) {
            drop(reader);
            return;
        }
    }
    if (options.fps > 0)
        want(reader, EPOLLIN);
    else
        send_frame(reader, build_frame(++frames_made));
}

static void on_request(struct reader *reader) {
    static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=" BOUNDARY
                                      "\r\nTransfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n"
                                      "X-Framerate: 60\r\n\r\n";
    static const char other_head[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    char *path;

    reader->request[reader->request_bytes] = 0;
    if (!strstr(reader->request, "\r\n\r\n")) return;
    path = strchr(reader->request, ' ');
    if (!path || !strstr(reader->request, "/stream") || (reader->camera = leading_number(path + 1)) >= options.cameras) {
        send(reader->fd, other_head, sizeof other_head - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        drop(reader);
        return;
    }
    if (!first_byte_told) {
        first_byte_told = 1;
        printf("first-byte %lld\n", (long long)now_ns());
    }
    if (send(reader->fd, stream_head, sizeof stream_head - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        drop(reader);
        return;
    }
    connects++;
    reader->streaming = 1;
    if (options.fps <= 0) want(reader, EPOLLIN | EPOLLOUT);
}

static void on_readable(struct reader *reader) {
    char waste[512];
    size_t room = sizeof reader->request - 1 - reader->request_bytes;
    ssize_t n = reader->streaming ? recv(reader->fd, waste, sizeof waste, MSG_DONTWAIT)
                                  : recv(reader->fd, reader->request + reader->request_bytes, room, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        drop(reader);
        return;
    }
    if (n > 0 && !reader->streaming) {
        reader->request_bytes += (size_t)n;
        on_request(reader);
    }
}

static void on_listener(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct reader *reader;
        struct epoll_event event = {.events = EPOLLIN};

        if (fd < 0) return;
        set_nodelay(fd);
        reader = need(calloc(1, sizeof *reader));
        reader->fd = fd;
        if (reader_count == reader_room) {
            reader_room = reader_room ? reader_room * 2 : 64;
            readers = need(realloc(readers, reader_room * sizeof *readers));
        }
        readers[reader_count++] = reader;
        event.data.ptr = reader;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Sends what is due of each camera and returns when the next frame is. Cameras are spread over the interval, as
 * independent devices are. */
static int64_t tick(uint64_t *numbers, int64_t *due_ns, int64_t interval_ns) {
    int64_t now = now_ns(), next = INT64_MAX;

    for (int camera = 0; camera < options.cameras; camera++) {
        if (due_ns[camera] <= now) {
            size_t n = 0;
            numbers[camera]++;
            frames_made++;
            for (size_t i = reader_count; i-- > 0;) {
                if (i >= reader_count || readers[i]->camera != camera || !readers[i]->streaming) continue;
                if (n == 0) n = build_frame(numbers[camera]);
                send_frame(readers[i], n);
            }
            due_ns[camera] += interval_ns;
            if (due_ns[camera] <= now) due_ns[camera] = now + interval_ns;
        }
        if (due_ns[camera] < next) next = due_ns[camera];
    }
    return next;
}

static void parse_options(int argc, char **argv, const char **host, int *port) {
    static const struct option names[] = {
        {"host", 1, 0, 'h'},    {"port", 1, 0, 'p'},     {"cameras", 1, 0, 'n'},   {"fps", 1, 0, 'f'},
        {"picture", 1, 0, 'i'}, {"no-stamp", 0, 0, 's'}, {"cut-after", 1, 0, 'c'}, {0, 0, 0, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) switch (c) {
        case 'h': *host = optarg; break;
        case 'p': *port = atoi(optarg); break;
        case 'n': options.cameras = atoi(optarg); break;
        case 'f': options.fps = atof(optarg); break;
        case 'i':
            if (options.picture_count == 64) die("too many pictures");
            options.pictures[options.picture_count++] = read_file(optarg);
            break;
        case 's': options.stamped = 0; break;
        case 'c': options.cut_after = (uint64_t)atoll(optarg); break;
        default: die("usage: camera --picture FILE… [--port P] [--cameras N] [--fps F] [--no-stamp] [--cut-after N]");
        }
    if (options.picture_count == 0 || options.cameras < 1) die("camera: a --picture is needed");
}

int main(int argc, char **argv) {
    const char *host = "127.0.0.1";
    int port = 0, listener, timer;
    struct epoll_event events[256], event = {.events = EPOLLIN};
    uint64_t *numbers;
    int64_t *due_ns, interval_ns;

    set_up_process();
    parse_options(argc, argv, &host, &port);
    started_ns = now_ns();
    listener = listen_on(host, port, 1024, &port);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    event.data.ptr = &listener;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &timer;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &event);
    numbers = need(calloc((size_t)options.cameras, sizeof *numbers));
    due_ns = need(calloc((size_t)options.cameras, sizeof *due_ns));
    interval_ns = options.fps > 0 ? (int64_t)(1e9 / options.fps) : 0;
    for (int i = 0; i < options.cameras; i++) due_ns[i] = started_ns + interval_ns * (i + 1) / options.cameras;
    printf("listening %d\n", port);

    while (!stopping()) {
        int n;
        if (interval_ns) {
            int64_t next = tick(numbers, due_ns, interval_ns);
            struct itimerspec at = {.it_value = {.tv_sec = next / 1000000000, .tv_nsec = next % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        }
        n = epoll_wait(epoll_fd, events, 256, 1000);
        for (int i = 0; i < n; i++) {
            struct reader *reader = events[i].data.ptr;
            uint64_t expirations;
            if (events[i].data.ptr == &listener) {
                on_listener(listener);
            } else if (events[i].data.ptr == &timer) {
                if (read(timer, &expirations, sizeof expirations) < 0) continue;
            } else {
                if (!reader->gone && events[i].events & EPOLLOUT) on_writable(reader);
                if (!reader->gone && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(reader);
            }
        }
        while (gone) {
            struct reader *reader = gone;
            gone = reader->next_gone;
            free(reader->rest);
            free(reader);
        }
    }
    printf("{\"frames_made\": %llu, \"frames_sent\": %llu, \"frames_skipped\": %llu, \"connects\": %llu}\n",
           (unsigned long long)frames_made, (unsigned long long)frames_sent, (unsigned long long)frames_skipped,
           (unsigned long long)connects);
    return 0;
}
