/* discovery_dns.c - targets from DNS records: SRV, A, AAAA, MX, NS.
 *
 * All names are asked for at each refresh. A name that the servers say has no such records has no
 * targets; one for which no server gave a proper answer keeps those it had.
 * Source: Prometheus, docs/configuration, <dns_sd_config>. */
#include "observe/scrape/discovery_internal.h"

#include <arpa/inet.h>
#include <ares.h>
#include <netdb.h>
#include <stdlib.h>

#include "net/dns.h"

/* One name and what is known of it. */
typedef struct dns_name {
    struct dns_state *state;
    sx_str name;
    sx_dns_query *query; /* NULL: nobody is asking */
    sx_arena arena;
    discovery_groups groups;
} dns_name;

typedef struct dns_state {
    prom_discoverer *d;
    sx_dns *dns; /* NULL: could not be had so far */
    sx_timer refresh;
    dns_name *names;
    uint32_t pending, failed; /* of this round */
    int64_t began_ns;
    sx_counter *lookups, *failures;
} dns_state;

/* Types of records by their numbers: RFC 1035, 2782, 3596. */
static const uint16_t TYPES[] = {[PROM_DNS_SRV] = 33,
                                 [PROM_DNS_A] = 1,
                                 [PROM_DNS_AAAA] = 28,
                                 [PROM_DNS_MX] = 15,
                                 [PROM_DNS_NS] = 2};

/* One target. `rooted` (may be NULL) is the name in the record, shown with its final dot under `label`;
 * `port_label` shows the record's own port. */
static void add(dns_name *n, discovery_groups *g, sx_str host, uint32_t port, const char *label,
                bool has_port_label)
{
    tsdb_label labels[3];
    size_t count = 0;
    labels[count++] = (tsdb_label){SX_STR("__meta_dns_name"), n->name};
    if (label) {
        labels[count++] =
            (tsdb_label){sx_str_z(label), sx_arena_printf(g->arena, "%.*s.", SX_ARG(host))};
        g->failed |= !labels[count - 1].value.data;
    }
    if (has_port_label) {
        labels[count++] = (tsdb_label){SX_STR("__meta_dns_srv_record_port"),
                                       sx_arena_printf(g->arena, "%u", port)};
        g->failed |= !labels[count - 1].value.data;
    }
    discovery_groups_target(g, n->name, discovery_host_port(g->arena, host, port), labels, count);
}

static sx_str copy_host(discovery_groups *g, const char *host)
{
    sx_str s = sx_str_z(host);
    while (s.len && s.data[s.len - 1] == '.')
        s.len--;
    return sx_arena_copy(g->arena, s);
}

static int read_srv(dns_name *n, discovery_groups *g, const unsigned char *reply, int len)
{
    struct ares_srv_reply *all = NULL;
    int rc = ares_parse_srv_reply(reply, len, &all);
    for (const struct ares_srv_reply *r = all; r; r = r->next)
        add(n, g, copy_host(g, r->host), r->port, "__meta_dns_srv_record_target", true);
    ares_free_data(all);
    return rc;
}

static int read_mx(dns_name *n, discovery_groups *g, const unsigned char *reply, int len)
{
    struct ares_mx_reply *all = NULL;
    int rc = ares_parse_mx_reply(reply, len, &all);
    for (const struct ares_mx_reply *r = all; r; r = r->next)
        add(n, g, copy_host(g, r->host), n->state->d->what->dns.port, "__meta_dns_mx_record_target",
            false);
    ares_free_data(all);
    return rc;
}

static int read_ns(dns_name *n, discovery_groups *g, const unsigned char *reply, int len)
{
    struct hostent *host = NULL;
    int rc = ares_parse_ns_reply(reply, len, &host);
    for (char **alias = host ? host->h_aliases : NULL; alias && *alias; alias++)
        add(n, g, copy_host(g, *alias), n->state->d->what->dns.port, "__meta_dns_ns_record_target",
            false);
    if (host)
        ares_free_hostent(host);
    return rc;
}

static int read_addresses(dns_name *n, discovery_groups *g, const unsigned char *reply, int len)
{
    bool is_ipv6 = n->state->d->what->dns.type == PROM_DNS_AAAA;
    struct hostent *host = NULL;
    int rc = is_ipv6 ? ares_parse_aaaa_reply(reply, len, &host, NULL, NULL)
                     : ares_parse_a_reply(reply, len, &host, NULL, NULL);
    for (char **at = host ? host->h_addr_list : NULL; at && *at; at++) {
        char text[INET6_ADDRSTRLEN];
        if (inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, *at, text, sizeof(text)))
            add(n, g, sx_arena_copy(g->arena, sx_str_z(text)), n->state->d->what->dns.port, NULL,
                false);
    }
    if (host)
        ares_free_hostent(host);
    return rc;
}

static int (*const READERS[])(dns_name *, discovery_groups *, const unsigned char *,
                              int) = {[PROM_DNS_SRV] = read_srv,
                                      [PROM_DNS_A] = read_addresses,
                                      [PROM_DNS_AAAA] = read_addresses,
                                      [PROM_DNS_MX] = read_mx,
                                      [PROM_DNS_NS] = read_ns};

/* Takes a reply in the place of what was known. */
static sx_status take_reply(dns_name *n, sx_str reply, sx_error *err)
{
    sx_arena arena;
    int rc = ARES_SUCCESS;
    sx_arena_init(&arena, 512, 0);
    discovery_groups g = {.arena = &arena};
    if (reply.len)
        rc = READERS[n->state->d->what->dns.type](n, &g, (const unsigned char *)reply.data,
                                                  (int)reply.len);
    bool is_good = rc == ARES_SUCCESS || rc == ARES_ENODATA;
    if (g.failed || !is_good) {
        sx_arena_done(&arena);
        return g.failed ? sx_fail_memory(err, "records")
                        : sx_fail(err, SX_EFORMAT, "could not read the answer for \"%.*s\": %s",
                                  SX_ARG(n->name), ares_strerror(rc));
    }
    sx_arena_done(&n->arena);
    n->arena = arena;
    n->groups = g;
    n->groups.arena = &n->arena;
    return SX_OK;
}

static void finish_round(dns_state *s)
{
    double seconds = (double)(sx_clock_mono_ns(sx_loop_clock(s->d->loop)) - s->began_ns) / 1e9;
    if (s->d->metrics.refresh_seconds)
        sx_histogram_observe(s->d->metrics.refresh_seconds, seconds);
    if (s->failed == 0)
        discovery_well(s->d);
    discovery_changed(s->d);
}

static void note_failure(dns_name *n, const sx_error *err)
{
    n->state->failed++;
    discovery_count(n->state->failures);
    discovery_failed(n->state->d, "Error refreshing DNS targets", err);
}

static void on_reply(void *ctx, sx_status status, sx_str reply, const sx_error *err)
{
    dns_name *n = ctx;
    sx_error own;
    n->query = NULL;
    if (status == SX_OK || status == SX_ENOTFOUND) {
        if (take_reply(n, status == SX_OK ? reply : SX_STR(""), &own) != SX_OK)
            note_failure(n, &own);
    } else {
        note_failure(n, err);
    }
    if (--n->state->pending == 0)
        finish_round(n->state);
}

static void refresh(dns_state *s)
{
    prom_discoverer *d = s->d;
    sx_error err;
    sx_timer_start(sx_loop_timers(d->loop), &s->refresh, d->what->dns.refresh_ms);
    if (s->pending) /* the last round is not over: its names are still asked for */
        return;
    s->failed = 0;
    s->began_ns = sx_clock_mono_ns(sx_loop_clock(d->loop));
    sx_dns_options options = {.servers = d->overrides.name_servers};
    if (!s->dns && sx_dns_new(d->loop, &options, &s->dns, &err) != SX_OK) {
        discovery_failed(d, "Error refreshing DNS targets", &err);
        return;
    }
    for (uint32_t i = 0; i < d->what->dns.name_count; i++) {
        dns_name *n = &s->names[i];
        discovery_count(s->lookups);
        sx_status st = sx_dns_query_start(s->dns, n->name, TYPES[d->what->dns.type], on_reply, n,
                                          &n->query, &err);
        if (st == SX_OK)
            s->pending++;
        else
            note_failure(n, &err);
    }
}

static void on_refresh(sx_timer *timer, void *arg)
{
    (void)timer;
    refresh(arg);
}

static sx_status start(prom_discoverer *d, sx_error *err)
{
    dns_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "DNS discovery");
    d->state = s;
    s->d = d;
    s->refresh = (sx_timer){.fn = on_refresh, .arg = s};
    s->names = sx_calloc(d->what->dns.name_count + 1, sizeof(*s->names));
    if (!s->names)
        return sx_fail_memory(err, "DNS discovery");
    for (uint32_t i = 0; i < d->what->dns.name_count; i++) {
        s->names[i].state = s;
        s->names[i].name = d->what->dns.names[i];
        sx_arena_init(&s->names[i].arena, 512, 0);
    }
    s->lookups =
        discovery_counter(d, "prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups.");
    s->failures = discovery_counter(d, "prometheus_sd_dns_lookup_failures_total",
                                    "The number of DNS-SD lookup failures.");
    refresh(s);
    return SX_OK;
}

static void stop(prom_discoverer *d)
{
    dns_state *s = d->state;
    if (!s)
        return;
    sx_timer_stop(sx_loop_timers(d->loop), &s->refresh);
    sx_dns_free(s->dns);
    for (uint32_t i = 0; s->names && i < d->what->dns.name_count; i++)
        sx_arena_done(&s->names[i].arena);
    sx_free(s->names);
    sx_free(s);
}

static void gather(prom_discoverer *d, discovery_groups *out)
{
    const dns_state *s = d->state;
    for (uint32_t i = 0; i < d->what->dns.name_count; i++) {
        for (size_t k = 0; k < s->names[i].groups.count; k++)
            discovery_groups_add(out, &s->names[i].groups.items[k]);
    }
}

const discovery_ops DISCOVERY_DNS = {"dns", start, stop, gather};
