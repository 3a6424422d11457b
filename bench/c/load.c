/* Viewers of MJPEG streams, many of them for little CPU.
 *
 * Four kinds of viewer, mixed evenly over the connections and over the --url's:
 *   cheap    throws the stream away in the kernel (MSG_TRUNC). Parts are counted by arithmetic, which is exact because
 *            all are of one size: at both ends of a window the viewer reads one part for real, and what lies between
 *            in bytes and in frame numbers must agree.
 *   exact    parses every part; latency from the stamp (see common.h), gaps in the frame numbers.
 *   slow     reads --slow-rate bytes a second through a small receive buffer; or, with --slow-from ADDRESS, as fast as
 *            a link to that address gives it. The age of the picture it shows is sampled every tick.
 *   stalled  sends its request and never reads.
 *
 * Commands on stdin, one a line: `begin` opens a window, `end` closes it and prints one line of JSON (stdout), `quit`
 * ends. Prints {"event": "joined", …} once every viewer that reads has seen a picture. With --joins N each cheap viewer
 * leaves after its first part and joins again, until N have joined in all: {"event": "churned"}.
 */
#define _GNU_SOURCE
#include "common.h"
#include "parts.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS 5000000
#define PROBE_LIMIT_NS 3000000000LL
#define MAX_URLS 256
#define MAX_RESTARTS 4096

enum role { CHEAP, EXACT, SLOW, STALLED };
enum state { WAITING, CONNECTING, READING, TRUNCATING, PROBING, IGNORING, LOST };

struct viewer {
    enum role role;
    enum state state;
    int fd, url, seen;
    struct parts parts;
    struct part last, begin, end;
    int begun, ended;
    uint64_t window_parts;
    double allowance;
};

struct samples {
    int64_t *values;
    size_t count, room;
};

static struct {
    struct url urls[MAX_URLS];
    int url_count, viewers, exact, slow, stalled, slow_receive_buffer;
    double slow_rate, join_rate;
    const char *slow_from;
    long joins;
} options = {.viewers = 1, .slow_receive_buffer = 8192};

static struct viewer *viewers;
static int epoll_fd, timer_fd;
static uint64_t part_stride; /* bytes from one part's body to the next one's, learnt from real reads */
static long joined, seen_count, lost, refused, bad_status;
static int window_open, window_closing;
static int64_t window_begin_ns, window_end_ns, probe_from_ns, missing, repeated;
static struct samples latencies, ages, arrival_ages;
static struct { int viewer; int64_t arrival_ns, sent_ns; } restarts[MAX_RESTARTS];
static int restart_count, asked_to_quit;

static void add(struct samples *samples, int64_t value) {
    if (samples->count == samples->room) {
        samples->room = samples->room ? samples->room * 2 : 4096;
        samples->values = need(realloc(samples->values, samples->room * sizeof *samples->values));
    }
    samples->values[samples->count++] = value;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The summary of `samples` in ms as a JSON object. */
static void print_samples(const char *name, struct samples *samples) {
    double sum = 0;
    size_t n = samples->count;

    printf(", \"%s\": ", name);
    if (n == 0) {
        printf("null");
        return;
    }
    qsort(samples->values, n, sizeof *samples->values, by_value);
    for (size_t i = 0; i < n; i++) sum += (double)samples->values[i];
    printf("{\"n\": %zu, \"mean\": %.3f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}", n,
           sum / (double)n / 1e6, (double)samples->values[n / 2] / 1e6, (double)samples->values[n * 9 / 10] / 1e6,
           (double)samples->values[n * 99 / 100] / 1e6, (double)samples->values[n - 1] / 1e6);
}

static void watch(struct viewer *viewer, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = viewer};
    epoll_ctl(epoll_fd, operation, viewer->fd, &event);
}

static void join(struct viewer *viewer) {
    viewer->parts = (struct parts){0};
    viewer->last = (struct part){.id = -1, .number = -1};
    viewer->fd = viewer->role == SLOW
                     ? start_connect(&options.urls[viewer->url], options.slow_receive_buffer, options.slow_from)
                     : start_connect(&options.urls[viewer->url], 0, NULL);
    if (viewer->fd < 0) {
        refused++;
        viewer->state = LOST;
        return;
    }
    viewer->state = CONNECTING;
    joined++;
    watch(viewer, EPOLL_CTL_ADD, EPOLLOUT);
}

static void lose(struct viewer *viewer) {
    if (viewer->state == CONNECTING)
        refused++;
    else
        lost++;
    close(viewer->fd);
    viewer->state = LOST;
}

static void on_connected(struct viewer *viewer) {
    const struct url *url = &options.urls[viewer->url];
    char request[1024];
    int error = 0, n;
    socklen_t size = sizeof error;

    getsockopt(viewer->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: framecast-bench\r\n\r\n",
                 url->path, url->host, url->port);
    if (error || send(viewer->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        lose(viewer);
        return;
    }
    viewer->state = viewer->role == STALLED ? IGNORING : READING;
    /* A slow viewer reads by the clock and a stalled one never: only their connection's end is of interest. */
    watch(viewer, EPOLL_CTL_MOD, viewer->role == SLOW || viewer->role == STALLED ? EPOLLRDHUP : EPOLLIN);
}

static void on_first_part(struct viewer *viewer) {
    viewer->seen = 1;
    seen_count++;
    if (seen_count == options.viewers - options.stalled)
        printf("{\"event\": \"joined\", \"viewers\": %ld, \"refused\": %ld}\n", seen_count, refused);
}

/* True when the viewer has left and joined anew. */
static int churn(struct viewer *viewer) {
    if (options.joins == 0 || viewer->role != CHEAP) return 0;
    if (joined >= options.joins) {
        if (joined++ == options.joins) printf("{\"event\": \"churned\", \"joins\": %ld}\n", options.joins);
        return 0;
    }
    close(viewer->fd);
    join(viewer);
    return 1;
}

static void check_order(struct viewer *viewer, const struct part *part, int64_t now) {
    const struct part *last = &viewer->last;
    int stamped = part->number >= 0 && last->number >= 0;
    int64_t step = stamped ? part->number - last->number : part->id - last->id;

    if (!stamped && (part->id < 0 || last->id < 0)) return;
    if (step < 0 && stamped && part->sent_ns > last->sent_ns) { /* the camera started anew */
        if (restart_count < MAX_RESTARTS) {
            restarts[restart_count].viewer = (int)(viewer - viewers);
            restarts[restart_count].arrival_ns = now;
            restarts[restart_count++].sent_ns = part->sent_ns;
        }
    } else if (window_open && viewer->role == EXACT) {
        if (step > 1) missing += step - 1;
        if (step == 0) repeated++;
    }
}

/* A whole part was read for real. Returns false when the viewer reads no further for now. */
static int on_part(struct viewer *viewer, int64_t now) {
    struct part *part = &viewer->parts.part;

    if (viewer->last.id >= 0 && viewer->last.bytes && viewer->state == READING && part->at > viewer->last.at)
        part_stride = part->at - viewer->last.at;
    check_order(viewer, part, now);
    if (window_open) {
        if (!viewer->begun) {
            viewer->begin = *part;
            viewer->begun = 1;
        } else {
            viewer->window_parts++;
        }
        if (part->sent_ns && part->number != viewer->last.number) {
            if (viewer->role == EXACT) add(&latencies, now - part->sent_ns);
            if (viewer->role == SLOW) add(&arrival_ages, now - part->sent_ns);
        }
    }
    if (window_closing && !viewer->ended) {
        viewer->end = *part;
        viewer->ended = 1;
    }
    viewer->last = *part;
    if (!viewer->seen) on_first_part(viewer);
    if (churn(viewer)) return 0;
    if (viewer->role == CHEAP && part_stride && (viewer->state == PROBING || viewer->state == READING)) {
        viewer->state = TRUNCATING;
        viewer->last.bytes = 0; /* the next part read for real is not the next part sent */
        return 0;
    }
    return 1;
}

/* Reads once, at most `limit` bytes. */
static ssize_t receive(struct viewer *viewer, size_t limit) {
    static uint8_t buffer[1 << 18];
    size_t want = limit < sizeof buffer ? limit : sizeof buffer, at = 0;
    ssize_t n = recv(viewer->fd, buffer, want, MSG_DONTWAIT);
    int64_t now = now_ns();
    int whole, fd = viewer->fd;

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        lose(viewer);
        return -1;
    }
    while (n > 0 && at < (size_t)n) {
        at += parts_feed(&viewer->parts, buffer + at, (size_t)n - at, &whole);
        if (viewer->parts.status && viewer->parts.status != 200) {
            bad_status++;
            lose(viewer);
            return -1;
        }
        if (!whole || on_part(viewer, now)) continue;
        if (viewer->state == TRUNCATING && viewer->fd == fd) parts_skip(&viewer->parts, (size_t)n - at);
        break;
    }
    return n;
}

static void truncate_stream(struct viewer *viewer) {
    ssize_t n = recv(viewer->fd, NULL, 1 << 24, MSG_DONTWAIT | MSG_TRUNC);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        lose(viewer);
    else if (n > 0)
        parts_skip(&viewer->parts, (uint64_t)n);
}

static void on_event(struct viewer *viewer, uint32_t events) {
    if (viewer->state == CONNECTING)
        on_connected(viewer);
    else if (viewer->state == TRUNCATING)
        truncate_stream(viewer);
    else if (viewer->role == SLOW || viewer->state == IGNORING) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) lose(viewer);
    } else if (viewer->state == READING || viewer->state == PROBING)
        receive(viewer, SIZE_MAX);
}

static void probe_all(void) {
    for (int i = 0; i < options.viewers; i++)
        if (viewers[i].state == TRUNCATING) viewers[i].state = PROBING;
}

static void begin_window(void) {
    latencies.count = ages.count = arrival_ages.count = 0;
    missing = repeated = 0;
    for (int i = 0; i < options.viewers; i++) {
        viewers[i].begun = viewers[i].ended = 0;
        viewers[i].window_parts = 0;
    }
    window_begin_ns = now_ns();
    window_open = 1;
    probe_all();
}

static void report(void) {
    int64_t frames = 0, fewest = INT64_MAX, most = 0, reading = 0;
    long unprobed = 0, connected = 0;
    double seconds = (double)(window_end_ns - window_begin_ns) / 1e9;
    struct rusage usage;

    for (int i = 0; i < options.viewers; i++) {
        struct viewer *viewer = &viewers[i];
        int64_t parts = (int64_t)viewer->window_parts;
        if (viewer->state != LOST && viewer->state != WAITING) connected++;
        if (viewer->role == STALLED) continue;
        if (viewer->role == CHEAP) {
            int64_t steps;
            if (!viewer->begun || !viewer->ended || !part_stride) {
                unprobed++;
                continue;
            }
            parts = (int64_t)((viewer->end.at - viewer->begin.at + part_stride / 2) / part_stride);
            steps = viewer->end.number >= 0 ? viewer->end.number - viewer->begin.number
                                            : viewer->end.id - viewer->begin.id;
            if (steps > parts) missing += steps - parts;
            if (steps < parts) repeated += parts - steps;
        }
        if (viewer->role == SLOW) continue;
        reading++;
        frames += parts;
        if (parts < fewest) fewest = parts;
        if (parts > most) most = parts;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"event\": \"window\", \"seconds\": %.4f, \"viewers\": %d, \"connected\": %ld, \"lost\": %ld, "
           "\"refused\": %ld, \"bad_status\": %ld, \"part_bytes\": %llu, \"frames\": %lld, \"fps\": %.3f, "
           "\"fewest\": %lld, \"most\": %lld, \"missing\": %lld, \"repeated\": %lld, \"unprobed\": %ld, "
           "\"cpu_s\": %.3f",
           seconds, options.viewers, connected, lost, refused, bad_status, (unsigned long long)part_stride,
           (long long)frames, reading ? (double)frames / seconds / (double)reading : 0.0,
           (long long)(reading ? fewest : 0), (long long)most, (long long)missing, (long long)repeated, unprobed,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    print_samples("latency_ms", &latencies);
    print_samples("age_ms", &ages);
    print_samples("arrival_age_ms", &arrival_ages);
    printf(", \"restarts\": [");
    for (int i = 0; i < restart_count; i++)
        printf("%s{\"viewer\": %d, \"arrival_ns\": %lld, \"sent_ns\": %lld}", i ? ", " : "", restarts[i].viewer,
               (long long)restarts[i].arrival_ns, (long long)restarts[i].sent_ns);
    printf("]}\n");
    restart_count = 0;
}

static void end_window(void) {
    window_end_ns = probe_from_ns = now_ns();
    window_open = 0;
    window_closing = 1;
    probe_all();
}

static void close_window_when_probed(void) {
    if (!window_closing) return;
    if (now_ns() - probe_from_ns < PROBE_LIMIT_NS)
        for (int i = 0; i < options.viewers; i++)
            if (viewers[i].role == CHEAP && viewers[i].state == PROBING && !viewers[i].ended) return;
    window_closing = 0;
    report();
}

static void tick(void) {
    static int64_t last_ns, due_joins_from_ns;
    static int next_to_join;
    int64_t now = now_ns();
    uint64_t expirations;
    double elapsed_s = last_ns ? (double)(now - last_ns) / 1e9 : 0;

    if (read(timer_fd, &expirations, sizeof expirations) < 0) return;
    last_ns = now;
    if (due_joins_from_ns == 0) due_joins_from_ns = now;
    while (options.join_rate > 0 && next_to_join < options.viewers &&
           (double)(now - due_joins_from_ns) / 1e9 * options.join_rate >= (double)next_to_join)
        join(&viewers[next_to_join++]);
    for (int i = 0; i < options.viewers && options.slow; i++) {
        struct viewer *viewer = &viewers[i];
        if (viewer->role != SLOW || viewer->state != READING) continue;
        viewer->allowance = options.slow_rate > 0 ? viewer->allowance + elapsed_s * options.slow_rate : 1e9;
        while (viewer->allowance >= 1) {
            ssize_t n = receive(viewer, (size_t)viewer->allowance);
            if (n <= 0) {
                viewer->allowance = 0; /* a link that was idle has nothing saved up */
                break;
            }
            viewer->allowance -= (double)n;
        }
        if (window_open && viewer->state == READING && viewer->last.sent_ns) add(&ages, now - viewer->last.sent_ns);
    }
}

static void on_command(void) {
    static char line[256];
    static size_t used;
    ssize_t n = read(0, line + used, sizeof line - 1 - used);
    char *end;

    if (n <= 0) {
        asked_to_quit = 1;
        return;
    }
    used += (size_t)n;
    line[used] = 0;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        if (strcmp(line, "begin") == 0) begin_window();
        if (strcmp(line, "end") == 0) end_window();
        if (strcmp(line, "quit") == 0) asked_to_quit = 1;
        used -= (size_t)(end + 1 - line);
        memmove(line, end + 1, used + 1);
    }
}

/* Spreads the kinds evenly: of any run of connections each kind has its share. */
static void assign_roles(void) {
    int counts[4] = {options.viewers - options.exact - options.slow - options.stalled, options.exact, options.slow,
                     options.stalled};
    double debts[4] = {0};

    if (counts[CHEAP] < 0) die("more special viewers than viewers");
    for (int i = 0; i < options.viewers; i++) {
        int best = 0;
        for (int role = 0; role < 4; role++) debts[role] += (double)counts[role] / options.viewers;
        for (int role = 1; role < 4; role++)
            if (debts[role] > debts[best]) best = role;
        debts[best] -= 1;
        viewers[i].role = (enum role)best;
        viewers[i].url = i % options.url_count;
    }
}

static void parse_options(int argc, char **argv) {
    static const struct option names[] = {
        {"url", 1, 0, 'u'},     {"viewers", 1, 0, 'n'},   {"exact", 1, 0, 'e'},       {"slow", 1, 0, 's'},
        {"stalled", 1, 0, 't'}, {"slow-rate", 1, 0, 'r'}, {"slow-buffer", 1, 0, 'b'}, {"join-rate", 1, 0, 'j'},
        {"joins", 1, 0, 'c'},   {"slow-from", 1, 0, 'f'}, {0, 0, 0, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) switch (c) {
        case 'u':
            if (options.url_count == MAX_URLS) die("too many URLs");
            options.urls[options.url_count++] = parse_url(optarg);
            break;
        case 'n': options.viewers = atoi(optarg); break;
        case 'e': options.exact = atoi(optarg); break;
        case 's': options.slow = atoi(optarg); break;
        case 't': options.stalled = atoi(optarg); break;
        case 'r': options.slow_rate = atof(optarg); break;
        case 'b': options.slow_receive_buffer = atoi(optarg); break;
        case 'f':
            options.slow_from = optarg;
            options.slow_receive_buffer = 0;
            break;
        case 'j': options.join_rate = atof(optarg); break;
        case 'c': options.joins = atol(optarg); break;
        default: die("usage: load --url URL… [--viewers N] [--exact N] [--slow N --slow-rate B] [--stalled N]");
        }
    if (options.url_count == 0 || options.viewers < 1) die("load: a --url is needed");
}

int main(int argc, char **argv) {
    struct epoll_event events[1024], event = {.events = EPOLLIN};
    struct itimerspec every = {.it_interval = {.tv_nsec = TICK_NS}, .it_value = {.tv_nsec = TICK_NS}};
    static int stdin_mark, timer_mark;

    set_up_process();
    parse_options(argc, argv);
    viewers = need(calloc((size_t)options.viewers, sizeof *viewers));
    assign_roles();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    event.data.ptr = &stdin_mark;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);
    event.data.ptr = &timer_mark;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
    if (options.slow || options.join_rate > 0) timerfd_settime(timer_fd, 0, &every, NULL);
    for (int i = 0; options.join_rate <= 0 && i < options.viewers; i++) join(&viewers[i]);

    while (!stopping() && !asked_to_quit) {
        int n = epoll_wait(epoll_fd, events, 1024, window_closing ? 20 : 1000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &stdin_mark)
                on_command();
            else if (events[i].data.ptr == &timer_mark)
                tick();
            else
                on_event(events[i].data.ptr, events[i].events);
        }
        close_window_when_probed();
    }
    return 0;
}
