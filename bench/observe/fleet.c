/* fleet.c - thousands of small exporters in one process: what a server with many targets scrapes.
 *
 *   fleet SERIES        listens on a free port of every address, prints "port N", serves until ended
 *
 * Every address of 127.0.0.0/8 is this machine, so 127.1.2.3:PORT and 127.1.2.4:PORT are two targets,
 * each with a connection of its own, as two machines would be. All serve the same page of SERIES
 * series in the text format, in VERSIONS versions by turns, so that counters move. One thread and
 * epoll: its work is a read and a write a scrape. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/buf.h>

enum { VERSIONS = 16, REQUEST_BYTES = 4096, EVENTS = 256 };

typedef struct connection {
    int fd;
    unsigned scrapes;
    size_t request_len;
    char request[REQUEST_BYTES];
} connection;

static sx_buf replies[VERSIONS]; /* made at the start, then read only */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void make_replies(size_t series)
{
    sx_buf page;
    sx_buf_init(&page, 0);
    for (size_t v = 0; v < VERSIONS; v++) {
        sx_buf_clear(&page);
        for (size_t i = 0; i < series; i++) {
            if (i % 10 == 0)
                sx_buf_printf(&page, "# TYPE fleet_requests_%zu_total counter\n", i / 10);
            sx_buf_printf(&page, "fleet_requests_%zu_total{code=\"%zu\",method=\"GET\"} %zu\n",
                          i / 10, 200 + i % 10, 100000 + i * 7919 + v * (i % 4) * 37);
        }
        sx_buf_init(&replies[v], 0);
        sx_buf_printf(&replies[v],
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      page.len);
        sx_buf_str(&replies[v], sx_buf_view(&page));
        if (replies[v].failed || page.failed)
            die("page");
    }
    sx_buf_done(&page);
}

/* Takes what came, and answers a whole request; a page is small, so the socket takes it at once. False:
 * the connection is over. */
static bool go_on(connection *c)
{
    ssize_t n = recv(c->fd, c->request + c->request_len, REQUEST_BYTES - 1 - c->request_len, 0);
    if (n <= 0)
        return false;
    c->request_len += (size_t)n;
    c->request[c->request_len] = '\0';
    if (!strstr(c->request, "\r\n\r\n"))
        return c->request_len < REQUEST_BYTES - 1;
    c->request_len = 0;
    const sx_buf *reply = &replies[c->scrapes++ % VERSIONS];
    for (size_t sent = 0; sent < reply->len; sent += (size_t)n)
        if ((n = send(c->fd, reply->data + sent, reply->len - sent, MSG_NOSIGNAL)) <= 0)
            return false;
    return true;
}

static void serve(int listener)
{
    struct epoll_event events[EVENTS], one = {.events = EPOLLIN};
    int poll = epoll_create1(0), on = 1;
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &one) != 0)
        die("epoll");
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            connection *c = events[i].data.ptr;
            if (!c) {
                c = calloc(1, sizeof *c);
                if (!c || (c->fd = accept(listener, NULL, NULL)) < 0)
                    die("accept");
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                one = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &one);
            } else if (!go_on(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct rlimit files;
    socklen_t len = sizeof address;
    if (argc != 2) {
        fprintf(stderr, "fleet SERIES\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    make_replies(strtoul(argv[1], NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    serve(fd);
}
