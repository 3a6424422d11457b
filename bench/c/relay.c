/* The limit: what one thread of C needs to read cameras and give every frame to every viewer.
 *
 * Reads each --camera URL over HTTP as the product does, writes the same bytes as the product does (the pinned
 * MJPEG part in one HTTP chunk), and does nothing else: no checks, no accounts, no statistics. A viewer whose
 * socket is full skips frames and gets the newest once it has drained. Viewers of /3/… get camera 3, others 0.
 *
 * Prints `listening PORT`, and on SIGTERM one line of JSON with its counts.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum kind { LISTENER, CAMERA, VIEWER };

struct part {
    int references;
    size_t size;
    char data[];
};

struct viewer {
    enum kind kind;
    int fd, streaming, gone;
    struct camera *camera;
    size_t index;
    struct part *rest;
    size_t rest_at;
    uint64_t last;
    char request[1024];
    size_t request_bytes;
    struct viewer *next_gone;
};

struct camera {
    enum kind kind;
    int fd;
    enum { HTTP_HEAD, CHUNK_LINE, CHUNK_DATA, CHUNK_END } state;
    size_t chunk_left;
    char line[1024];
    size_t line_bytes;
    uint8_t *body; /* dechunked, from the last unfinished part on */
    size_t body_bytes, body_room, jpeg_at, jpeg_bytes;
    uint64_t frames;
    struct part *latest;
    struct viewer **viewers;
    size_t viewer_count, viewer_room;
};

static int epoll_fd, low_water;
static uint64_t skipped, sent_parts;
static struct viewer *gone;
static struct camera *cameras;
static int camera_count;

static void release(struct part *part) {
    if (part && --part->references == 0) free(part);
}

static void want(struct viewer *viewer, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = viewer};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, viewer->fd, &event);
}

static void drop(struct viewer *viewer) {
    struct camera *camera = viewer->camera;

    if (viewer->gone) return;
    viewer->gone = 1;
    close(viewer->fd);
    release(viewer->rest);
    if (viewer->streaming) {
        camera->viewers[viewer->index] = camera->viewers[--camera->viewer_count];
        camera->viewers[viewer->index]->index = viewer->index;
    }
    viewer->next_gone = gone;
    gone = viewer;
}

static void give(struct viewer *viewer, struct part *part, uint64_t number) {
    ssize_t n = send(viewer->fd, part->data, part->size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN) {
            drop(viewer);
            return;
        }
        n = 0;
    }
    viewer->last = number;
    sent_parts++;
    if ((size_t)n < part->size) {
        viewer->rest = part;
        viewer->rest_at = (size_t)n;
        part->references++;
        want(viewer, EPOLLIN | EPOLLOUT);
    }
}

static void on_drained(struct viewer *viewer) {
    if (viewer->rest) {
        ssize_t n = send(viewer->fd, viewer->rest->data + viewer->rest_at, viewer->rest->size - viewer->rest_at,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) drop(viewer);
            return;
        }
        viewer->rest_at += (size_t)n;
        if (viewer->rest_at < viewer->rest->size) return;
        release(viewer->rest);
        viewer->rest = NULL;
    }
    want(viewer, EPOLLIN);
    if (viewer->camera->latest && viewer->last < viewer->camera->frames)
        give(viewer, viewer->camera->latest, viewer->camera->frames);
}

static void fan_out(struct camera *camera, const uint8_t *jpeg, size_t jpeg_bytes) {
    static const char tail[] = "\r\n--frame\r\n";
    struct part *part = need(malloc(sizeof *part + jpeg_bytes + 512));
    struct timespec wall;
    char head[256];
    size_t head_bytes, n;

    clock_gettime(CLOCK_REALTIME, &wall);
    camera->frames++;
    head_bytes = (size_t)snprintf(head, sizeof head,
                                  "Content-Type: image/jpeg\r\nX-Frame-Id: %llu\r\nX-Timestamp: %lld.%06ld\r\n"
                                  "Content-Length: %zu\r\n\r\n",
                                  (unsigned long long)camera->frames, (long long)wall.tv_sec, wall.tv_nsec / 1000,
                                  jpeg_bytes);
    n = (size_t)sprintf(part->data, "%zx\r\n%s", head_bytes + jpeg_bytes + sizeof tail - 1, head);
    memcpy(part->data + n, jpeg, jpeg_bytes);
    memcpy(part->data + n + jpeg_bytes, tail, sizeof tail - 1);
    memcpy(part->data + n + jpeg_bytes + sizeof tail - 1, "\r\n", 2);
    part->size = n + jpeg_bytes + sizeof tail - 1 + 2;
    part->references = 1;
    release(camera->latest);
    camera->latest = part;
    for (size_t i = camera->viewer_count; i-- > 0;) {
        if (i >= camera->viewer_count) continue;
        if (camera->viewers[i]->rest)
            skipped++;
        else
            give(camera->viewers[i], part, camera->frames);
    }
}

/* Cuts whole parts from the dechunked body, by Content-Length. */
static void cut(struct camera *camera) {
    size_t from = 0;

    for (;;) {
        if (camera->jpeg_bytes == 0) {
            const char *start = (const char *)camera->body + from, *end, *length;
            size_t have = camera->body_bytes - from;
            length = find_header(start, have < 512 ? have : 512, "content-length:");
            end = length ? memmem(length, have - (size_t)(length - start), "\r\n\r\n", 4) : NULL;
            if (!end) break;
            camera->jpeg_bytes = (size_t)atol(length);
            camera->jpeg_at = from + (size_t)(end - start) + 4;
        }
        if (camera->body_bytes < camera->jpeg_at + camera->jpeg_bytes) break;
        fan_out(camera, camera->body + camera->jpeg_at, camera->jpeg_bytes);
        from = camera->jpeg_at + camera->jpeg_bytes;
        camera->jpeg_bytes = 0;
    }
    if (from) {
        memmove(camera->body, camera->body + from, camera->body_bytes - from);
        camera->body_bytes -= from;
        if (camera->jpeg_bytes) camera->jpeg_at -= from;
    }
}

static void keep(struct camera *camera, const uint8_t *data, size_t n) {
    if (camera->body_bytes + n > camera->body_room)
        camera->body = need(realloc(camera->body, camera->body_room = (camera->body_bytes + n) * 2));
    memcpy(camera->body + camera->body_bytes, data, n);
    camera->body_bytes += n;
}

static void on_camera(struct camera *camera) {
    static uint8_t buffer[1 << 18];
    ssize_t got = recv(camera->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    const uint8_t *at = buffer, *end;

    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, camera->fd, NULL);
        close(camera->fd);
        return;
    }
    end = buffer + (got > 0 ? got : 0);
    while (at < end) {
        if (camera->state == CHUNK_DATA) {
            size_t n = (size_t)(end - at) < camera->chunk_left ? (size_t)(end - at) : camera->chunk_left;
            keep(camera, at, n);
            at += n;
            if ((camera->chunk_left -= n) == 0) camera->state = CHUNK_END;
            continue;
        }
        if (camera->line_bytes == sizeof camera->line - 1) die("the camera's answer is not understood");
        camera->line[camera->line_bytes++] = (char)*at++;
        camera->line[camera->line_bytes] = 0;
        if (camera->state == HTTP_HEAD) {
            if (camera->line_bytes < 4 || memcmp(camera->line + camera->line_bytes - 4, "\r\n\r\n", 4) != 0) continue;
            if (!strstr(camera->line, " 200 ") || !strcasestr(camera->line, "chunked")) die("not our camera");
            camera->state = CHUNK_LINE;
        } else if (camera->line[camera->line_bytes - 1] != '\n') {
            continue;
        } else if (camera->state == CHUNK_LINE) {
            camera->chunk_left = strtoul(camera->line, NULL, 16);
            camera->state = camera->chunk_left ? CHUNK_DATA : CHUNK_END;
        } else {
            camera->state = CHUNK_LINE;
        }
        camera->line_bytes = 0;
    }
    cut(camera);
}

static void on_viewer(struct viewer *viewer) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"
                               "Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n9\r\n--frame\r\n\r\n";
    struct camera *camera;
    char waste[256], *path;
    ssize_t n = viewer->streaming ? recv(viewer->fd, waste, sizeof waste, MSG_DONTWAIT)
                                  : recv(viewer->fd, viewer->request + viewer->request_bytes,
                                         sizeof viewer->request - 1 - viewer->request_bytes, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        drop(viewer);
        return;
    }
    if (n < 0 || viewer->streaming) return;
    viewer->request_bytes += (size_t)n;
    if (!strstr(viewer->request, "\r\n\r\n")) return;
    path = strchr(viewer->request, ' ');
    n = path ? leading_number(path + 1) : 0;
    camera = viewer->camera = &cameras[n < camera_count ? n : 0];
    if (send(viewer->fd, head, sizeof head - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        drop(viewer);
        return;
    }
    if (camera->viewer_count == camera->viewer_room) {
        camera->viewer_room = camera->viewer_room ? camera->viewer_room * 2 : 64;
        camera->viewers = need(realloc(camera->viewers, camera->viewer_room * sizeof *camera->viewers));
    }
    viewer->streaming = 1;
    viewer->index = camera->viewer_count;
    camera->viewers[camera->viewer_count++] = viewer;
    if (camera->latest) give(viewer, camera->latest, camera->frames);
}

static void on_listener(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct viewer *viewer;
        struct epoll_event event = {.events = EPOLLIN};

        if (fd < 0) return;
        set_nodelay(fd);
        if (low_water) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, sizeof low_water);
        viewer = need(calloc(1, sizeof *viewer));
        viewer->kind = VIEWER;
        viewer->fd = fd;
        event.data.ptr = viewer;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void open_camera(struct camera *camera, const char *text) {
    struct url url = parse_url(text);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = camera};
    char request[1024];
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", url.path, url.host, url.port);

    camera->kind = CAMERA;
    camera->fd = connect_now(&url);
    if (send(camera->fd, request, (size_t)n, MSG_NOSIGNAL) != n) die("%s: cannot be asked", text);
    set_nonblocking(camera->fd);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, camera->fd, &event);
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"camera", 1, 0, 'c'}, {"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"lowat", 1, 0, 'l'}, {0, 0, 0, 0},
    };
    const char *host = "127.0.0.1", *urls[256];
    int port = 0, c, listener;
    enum kind listener_kind = LISTENER;
    struct epoll_event events[1024], event = {.events = EPOLLIN, .data.ptr = &listener_kind};

    set_up_process();
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) switch (c) {
        case 'c':
            if (camera_count == 256) die("too many cameras");
            urls[camera_count++] = optarg;
            break;
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'l': low_water = atoi(optarg); break;
        default: die("usage: relay --camera URL… [--port P] [--lowat BYTES]");
        }
    if (camera_count == 0) die("relay: a --camera is needed");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener = listen_on(host, port, 4096, &port);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    cameras = need(calloc((size_t)camera_count, sizeof *cameras));
    for (int i = 0; i < camera_count; i++) open_camera(&cameras[i], urls[i]);
    printf("listening %d\n", port);

    while (!stopping()) {
        int n = epoll_wait(epoll_fd, events, 1024, 1000);
        for (int i = 0; i < n; i++) {
            enum kind *kind = events[i].data.ptr;
            struct viewer *viewer = events[i].data.ptr;
            if (*kind == LISTENER) {
                on_listener(listener);
            } else if (*kind == CAMERA) {
                on_camera(events[i].data.ptr);
            } else {
                if (!viewer->gone && events[i].events & EPOLLOUT) on_drained(viewer);
                if (!viewer->gone && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_viewer(viewer);
            }
        }
        while (gone) {
            struct viewer *viewer = gone;
            gone = viewer->next_gone;
            free(viewer);
        }
    }
    printf("{\"parts\": %llu, \"skipped\": %llu}\n", (unsigned long long)sent_parts, (unsigned long long)skipped);
    return 0;
}
