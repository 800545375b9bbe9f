/* dns.c - asynchronous name resolution on c-ares (dns.h).
 *
 *   lookup -> entry of its name: fresh -> answered in a later turn
 *                                else  -> one c-ares query; all waiting lookups are answered by it
 *
 * c-ares tells which sockets it watches; each gets a uv_poll. Its retransmissions run on the
 * system's clock (its own), the life of cache entries on the loop's. */
#include "net/dns.h"

#include <arpa/inet.h>
#include <ares.h>
#include <pthread.h>

#include <sextant/buf.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "net/loop_internal.h"

enum { NAME_BYTES_MAX = 255, TTL_MS_MIN = 1000, TRIES = 3 };

/* One name in the cache. */
typedef struct dns_entry {
    sx_dns *dns;
    sx_list link;    /* dns->entries, the oldest use first */
    sx_list waiting; /* lookups, while a query runs */
    bool is_pending;
    int64_t good_until_ms;
    sx_status status;
    sx_addresses addresses;
    size_t name_len;
    char name[NAME_BYTES_MAX + 1];
} dns_entry;

/* A socket of c-ares that we watch. Outlives the resolver by the turn that closes it. */
typedef struct dns_socket {
    uv_poll_t poll; /* first: the handle is the socket */
    sx_list link;
    sx_dns *dns;
    int fd;
} dns_socket;

struct sx_dns_lookup {
    sx_list link; /* entry->waiting, or dns->answered */
    sx_dns *dns;
    sx_timer timer; /* brings the answer in a turn of its own */
    sx_dns_fn *fn;
    void *ctx;
    sx_status status;
    sx_addresses addresses;
    char name[NAME_BYTES_MAX + 1]; /* for messages */
};

struct sx_dns_query {
    sx_list link; /* dns->queries */
    sx_dns *dns;
    sx_timer timer;      /* brings the answer in a turn of its own */
    sx_dns_query_fn *fn; /* NULL: forgotten, c-ares still has it */
    void *ctx;
    bool is_pending; /* c-ares has it */
    sx_status status;
    sx_buf reply;
    char name[NAME_BYTES_MAX + 1];
};

struct sx_dns {
    sx_loop *loop;
    sx_dns_options options;
    ares_channel channel;
    sx_map names; /* to dns_entry */
    sx_list entries;
    sx_list sockets;
    sx_list answered;
    sx_list queries;
    sx_timer timer; /* c-ares's next retransmission */
    bool freeing;
};

/* c-ares counts initialisations, but not across threads. */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void start_library(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

/* ---- driving c-ares ---- */

static void arm_timer(sx_dns *dns)
{
    struct timeval most = {2, 0}, tv;
    struct timeval *wait = ares_timeout(dns->channel, &most, &tv);
    if (sx_list_empty(&dns->sockets) || !wait)
        sx_timer_stop(sx_loop_timers(dns->loop), &dns->timer);
    else
        sx_timer_start(sx_loop_timers(dns->loop), &dns->timer,
                       wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
}

static void on_timer(sx_timer *timer, void *arg)
{
    sx_dns *dns = arg;
    (void)timer;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(dns);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    dns_socket *socket = (dns_socket *)(void *)poll;
    sx_dns *dns = socket->dns;
    bool failed = status < 0; /* let c-ares find out by trying */
    int fd = socket->fd;
    ares_process_fd(dns->channel, failed || (events & UV_READABLE) ? fd : ARES_SOCKET_BAD,
                    failed || (events & UV_WRITABLE) ? fd : ARES_SOCKET_BAD);
    arm_timer(dns);
}

static void on_socket_closed(uv_handle_t *handle)
{
    sx_free(handle->data);
}

static dns_socket *find_socket(sx_dns *dns, int fd)
{
    sx_list *link;
    SX_LIST_EACH(link, &dns->sockets)
    {
        dns_socket *socket = SX_CONTAINER_OF(link, dns_socket, link);
        if (socket->fd == fd)
            return socket;
    }
    return NULL;
}

static dns_socket *add_socket(sx_dns *dns, int fd)
{
    dns_socket *socket = sx_calloc(1, sizeof(*socket));
    if (!socket)
        return NULL;
    if (uv_poll_init(sx_loop_uv(dns->loop), &socket->poll, fd) != 0) {
        sx_free(socket);
        return NULL;
    }
    socket->poll.data = socket;
    socket->dns = dns;
    socket->fd = fd;
    sx_list_push_back(&dns->sockets, &socket->link);
    return socket;
}

/* c-ares opened, changed or is about to close a socket. Without memory to watch one, its query ends
 * by c-ares's time-out. */
static void on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    sx_dns *dns = ctx;
    dns_socket *socket = find_socket(dns, fd);
    if (!readable && !writable) {
        if (!socket)
            return;
        sx_list_remove(&socket->link);
        uv_poll_stop(&socket->poll);
        uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
        return;
    }
    if (!socket)
        socket = add_socket(dns, fd);
    if (socket)
        uv_poll_start(&socket->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                      on_socket_ready);
}

/* ---- answers ---- */

static void answer(sx_timer *timer, void *arg)
{
    sx_dns_lookup *lookup = arg;
    sx_error err = {0};
    (void)timer;
    sx_list_remove(&lookup->link);
    if (lookup->status != SX_OK)
        sx_fail(&err, lookup->status, "the name '%s' cannot be resolved: %s", lookup->name,
                lookup->status == SX_ENOTFOUND  ? "no such name, or it has no address"
                : lookup->status == SX_ETIMEOUT ? "no name server answered in time"
                                                : "the name servers answered with an error");
    lookup->fn(lookup->ctx, lookup->status, &lookup->addresses, &err);
    sx_free(lookup);
}

/* Puts the answer on its way. */
static void answer_later(sx_dns_lookup *lookup, sx_status status, const sx_addresses *addresses)
{
    sx_list_remove(&lookup->link);
    sx_list_push_back(&lookup->dns->answered, &lookup->link);
    lookup->status = status;
    if (addresses)
        lookup->addresses = *addresses;
    sx_timer_start(sx_loop_timers(lookup->dns->loop), &lookup->timer, 0);
}

static sx_status status_of(int ares_status)
{
    switch (ares_status) {
    case ARES_SUCCESS:
        return SX_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
    case ARES_ENONAME:
        return SX_ENOTFOUND;
    case ARES_ETIMEOUT:
        return SX_ETIMEOUT;
    case ARES_ENOMEM:
        return SX_ENOMEM;
    default:
        return SX_EIO;
    }
}

/* Copies addresses, IPv6 and IPv4 in turn as RFC 8305, section 4, wants them, so that a stagger
 * meets the other family second. Returns the least time to live in seconds. */
static int take_addresses(const struct ares_addrinfo_node *nodes, sx_addresses *out)
{
    const struct ares_addrinfo_node *next[2] = {nodes, nodes};
    static const int FAMILIES[2] = {AF_INET6, AF_INET};
    int least_ttl = INT32_MAX;
    out->count = 0;
    for (int turn = 0; (next[0] || next[1]) && out->count < SX_DNS_ADDRESSES_MAX; turn ^= 1) {
        while (next[turn] && next[turn]->ai_family != FAMILIES[turn])
            next[turn] = next[turn]->ai_next;
        const struct ares_addrinfo_node *node = next[turn];
        if (!node)
            continue;
        next[turn] = node->ai_next;
        sx_address *at = &out->items[out->count++];
        memset(at, 0, sizeof(*at));
        if ((size_t)node->ai_addrlen <= sizeof(*at))
            memcpy(at, node->ai_addr, (size_t)node->ai_addrlen);
        if (node->ai_ttl < least_ttl)
            least_ttl = node->ai_ttl;
    }
    return least_ttl;
}

static void free_entry(dns_entry *entry)
{
    sx_map_remove(&entry->dns->names, sx_str_of(entry->name, entry->name_len));
    sx_list_remove(&entry->link);
    sx_free(entry);
}

static void on_resolved(void *ctx, int ares_status, int timeouts, struct ares_addrinfo *info)
{
    dns_entry *entry = ctx;
    sx_dns *dns = entry->dns;
    int64_t good_ms = dns->options.failed_ms_max;
    sx_list *link;
    (void)timeouts;
    entry->is_pending = false;
    entry->status = status_of(ares_status);
    if (entry->status == SX_OK) {
        int64_t ttl_ms =
            (int64_t)take_addresses(info ? info->nodes : NULL, &entry->addresses) * 1000;
        good_ms = ttl_ms > dns->options.ttl_ms_max ? dns->options.ttl_ms_max
                  : ttl_ms < TTL_MS_MIN            ? TTL_MS_MIN
                                                   : ttl_ms;
        if (entry->addresses.count == 0)
            entry->status = SX_ENOTFOUND;
    }
    if (info)
        ares_freeaddrinfo(info);
    if (dns->freeing)
        return;
    entry->good_until_ms = sx_loop_now_ms(dns->loop) + good_ms;
    while ((link = sx_list_pop_front(&entry->waiting)))
        answer_later(SX_CONTAINER_OF(link, sx_dns_lookup, link), entry->status, &entry->addresses);
}

/* ---- lookups ---- */

/* Answers that need nobody: literal addresses and the names of this machine. */
static bool answer_itself(sx_str host, const char *name, sx_addresses *out)
{
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, name, &out->items[0].v4.sin_addr) == 1) {
        out->items[0].v4.sin_family = AF_INET;
        out->count = 1;
    } else if (inet_pton(AF_INET6, name, &out->items[0].v6.sin6_addr) == 1) {
        out->items[0].v6.sin6_family = AF_INET6;
        out->count = 1;
    } else if (sx_str_ieq(host, SX_STR("localhost")) ||
               (host.len > 10 &&
                sx_str_ieq(sx_str_from(host, host.len - 10), SX_STR(".localhost")))) {
        out->items[0].v4.sin_family = AF_INET;
        out->items[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        out->items[1].v6.sin6_family = AF_INET6;
        out->items[1].v6.sin6_addr = in6addr_loopback;
        out->count = 2;
    }
    return out->count > 0;
}

/* Makes room by forgetting the name unused for longest that nobody waits for. */
static void evict(sx_dns *dns)
{
    sx_list *link, *after;
    SX_LIST_EACH_SAFE(link, after, &dns->entries)
    {
        dns_entry *entry = SX_CONTAINER_OF(link, dns_entry, link);
        if (sx_map_count(&dns->names) < dns->options.names_max)
            return;
        if (!entry->is_pending)
            free_entry(entry);
    }
}

/* The entry of a name, new if need be. Names are compared in lower case. NULL without memory. */
static dns_entry *entry_of(sx_dns *dns, sx_str host)
{
    char lower[NAME_BYTES_MAX + 1];
    for (size_t i = 0; i < host.len; i++)
        lower[i] =
            host.data[i] >= 'A' && host.data[i] <= 'Z' ? (char)(host.data[i] | 0x20) : host.data[i];
    sx_str name = sx_str_of(lower, host.len);
    dns_entry *entry = sx_map_get(&dns->names, name);
    if (entry) {
        sx_list_remove(&entry->link);
        sx_list_push_back(&dns->entries, &entry->link);
        return entry;
    }
    evict(dns);
    entry = sx_calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->dns = dns;
    entry->name_len = name.len;
    memcpy(entry->name, lower, name.len);
    sx_list_init(&entry->waiting);
    sx_map_entry *slot = sx_map_put(&dns->names, sx_str_of(entry->name, name.len), NULL);
    if (!slot) {
        sx_free(entry);
        return NULL;
    }
    slot->ptr = entry;
    sx_list_push_back(&dns->entries, &entry->link);
    return entry;
}

sx_status sx_dns_start(sx_dns *dns, sx_str host, sx_dns_fn *fn, void *ctx, sx_dns_lookup **out,
                       sx_error *err)
{
    if (host.len == 0 || host.len > NAME_BYTES_MAX || memchr(host.data, '\0', host.len))
        return sx_fail(err, SX_EINVAL, "a host name must have 1 to %d bytes and no NUL, not %zu",
                       NAME_BYTES_MAX, host.len);
    sx_dns_lookup *lookup = sx_calloc(1, sizeof(*lookup));
    if (!lookup)
        return sx_fail_memory(err, "a name lookup");
    sx_list_init(&lookup->link);
    lookup->dns = dns;
    lookup->fn = fn;
    lookup->ctx = ctx;
    lookup->timer = (sx_timer){.fn = answer, .arg = lookup};
    memcpy(lookup->name, host.data, host.len);
    *out = lookup;

    sx_addresses own;
    if (answer_itself(host, lookup->name, &own)) {
        answer_later(lookup, SX_OK, &own);
        return SX_OK;
    }
    dns_entry *entry = entry_of(dns, host);
    if (!entry) {
        sx_free(lookup);
        return sx_fail_memory(err, "a name's cache entry");
    }
    if (!entry->is_pending && sx_loop_now_ms(dns->loop) < entry->good_until_ms) {
        answer_later(lookup, entry->status, &entry->addresses);
        return SX_OK;
    }
    sx_list_push_back(&entry->waiting, &lookup->link);
    if (!entry->is_pending) {
        struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        entry->is_pending = true;
        ares_getaddrinfo(dns->channel, entry->name, NULL, &hints, on_resolved, entry);
        arm_timer(dns);
    }
    return SX_OK;
}

void sx_dns_cancel(sx_dns_lookup *lookup)
{
    sx_list_remove(&lookup->link);
    sx_timer_stop(sx_loop_timers(lookup->dns->loop), &lookup->timer);
    sx_free(lookup);
}

/* ---- records of any type ---- */

static void query_free(sx_dns_query *q)
{
    sx_list_remove(&q->link);
    sx_timer_stop(sx_loop_timers(q->dns->loop), &q->timer);
    sx_buf_done(&q->reply);
    sx_free(q);
}

static void tell_query(sx_timer *timer, void *arg)
{
    sx_dns_query *q = arg;
    sx_error err = {0};
    (void)timer;
    if (q->status != SX_OK)
        sx_fail(&err, q->status, "could not resolve \"%s\": %s", q->name,
                q->status == SX_ENOTFOUND  ? "there are no such records"
                : q->status == SX_ETIMEOUT ? "no name server answered in time"
                                           : "the name servers answered with an error");
    q->fn(q->ctx, q->status, sx_buf_view(&q->reply), &err);
    query_free(q);
}

static void on_reply(void *ctx, int ares_status, int timeouts, unsigned char *reply, int len)
{
    sx_dns_query *q = ctx;
    (void)timeouts;
    q->is_pending = false;
    if (!q->fn || q->dns->freeing) {
        query_free(q);
        return;
    }
    q->status = status_of(ares_status);
    if (q->status == SX_OK && reply)
        sx_buf_bytes(&q->reply, reply, (size_t)len);
    if (q->reply.failed)
        q->status = SX_ENOMEM;
    sx_timer_start(sx_loop_timers(q->dns->loop), &q->timer, 0);
}

sx_status sx_dns_query_start(sx_dns *dns, sx_str name, uint16_t type, sx_dns_query_fn *fn,
                             void *ctx, sx_dns_query **out, sx_error *err)
{
    enum { CLASS_INTERNET = 1 };
    if (name.len == 0 || name.len > NAME_BYTES_MAX || memchr(name.data, '\0', name.len))
        return sx_fail(err, SX_EINVAL, "a host name must have 1 to %d bytes and no NUL, not %zu",
                       NAME_BYTES_MAX, name.len);
    sx_dns_query *q = sx_calloc(1, sizeof(*q));
    if (!q)
        return sx_fail_memory(err, "a name query");
    q->dns = dns;
    q->fn = fn;
    q->ctx = ctx;
    q->is_pending = true;
    q->timer = (sx_timer){.fn = tell_query, .arg = q};
    sx_buf_init(&q->reply, 0);
    memcpy(q->name, name.data, name.len);
    sx_list_push_back(&dns->queries, &q->link);
    *out = q;
    ares_search(dns->channel, q->name, CLASS_INTERNET, type, on_reply, q);
    arm_timer(dns);
    return SX_OK;
}

void sx_dns_query_cancel(sx_dns_query *q)
{
    q->fn = NULL;
    if (!q->is_pending)
        query_free(q);
}

/* ---- life ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

sx_status sx_dns_new(sx_loop *loop, const sx_dns_options *options, sx_dns **out, sx_error *err)
{
    sx_dns *dns = sx_calloc(1, sizeof(*dns));
    if (!dns)
        return sx_fail_memory(err, "a name resolver");
    if (options)
        dns->options = *options;
    sx_dns_options *o = &dns->options;
    o->names_max = or_default(o->names_max, 1024);
    o->ttl_ms_max = or_default(o->ttl_ms_max, 300000);
    o->failed_ms_max = or_default(o->failed_ms_max, 2000);
    o->try_ms_max = or_default(o->try_ms_max, 2000);
    dns->loop = loop;
    dns->timer = (sx_timer){.fn = on_timer, .arg = dns};
    sx_map_init(&dns->names, NULL);
    sx_list_init(&dns->entries);
    sx_list_init(&dns->sockets);
    sx_list_init(&dns->answered);
    sx_list_init(&dns->queries);

    struct ares_options ares = {.timeout = (int)o->try_ms_max,
                                .tries = TRIES,
                                .sock_state_cb = on_socket_state,
                                .sock_state_cb_data = dns};
    pthread_once(&library_once, start_library);
    int rc = library_status;
    if (rc == ARES_SUCCESS)
        rc = ares_init_options(&dns->channel, &ares,
                               ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (rc != ARES_SUCCESS) {
        sx_map_done(&dns->names);
        sx_free(dns);
        return sx_fail(err, rc == ARES_ENOMEM ? SX_ENOMEM : SX_EIO,
                       "the name resolver cannot start: %s", ares_strerror(rc));
    }
    if (o->servers && ares_set_servers_ports_csv(dns->channel, o->servers) != ARES_SUCCESS) {
        sx_dns_free(dns);
        return sx_fail(err, SX_EINVAL, "name servers '%s' are not addresses; write HOST:PORT,...",
                       o->servers);
    }
    *out = dns;
    return SX_OK;
}

static void free_lookups(sx_list *list)
{
    while (!sx_list_empty(list))
        sx_dns_cancel(SX_CONTAINER_OF(list->next, sx_dns_lookup, link));
}

void sx_dns_free(sx_dns *dns)
{
    if (!dns)
        return;
    dns->freeing = true;
    ares_destroy(dns->channel); /* calls on_resolved for what runs, closes its sockets */
    sx_timer_stop(sx_loop_timers(dns->loop), &dns->timer);
    free_lookups(&dns->answered);
    while (!sx_list_empty(&dns->queries)) /* answered, not yet told */
        query_free(SX_CONTAINER_OF(dns->queries.next, sx_dns_query, link));
    while (!sx_list_empty(&dns->entries)) {
        dns_entry *entry = SX_CONTAINER_OF(dns->entries.next, dns_entry, link);
        free_lookups(&entry->waiting);
        free_entry(entry);
    }
    sx_map_done(&dns->names);
    sx_free(dns);
}
