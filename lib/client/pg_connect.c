/* pg_connect.c - one connection is made (pg_internal.h).
 *
 *   conninfo -> names looked up, all hosts at once -> PQconnectStartParams -> PQconnectPoll …
 *            -> the session's settings -> the pool
 *
 * libpq's own look-up of names blocks, so it is given addresses (hostaddr) beside each name; the name
 * still serves TLS and the password file. A name with several addresses becomes several hosts, which
 * libpq tries in turn. Its connect_timeout does not count in this mode: the timer here does. */
#include "client/pg_internal.h"

#include <arpa/inet.h>
#include <stdio.h>

#include <sextant/mem.h>

enum { OPTIONS_MAX = 64, EXPANDED_MAX = PG_HOSTS_MAX * SX_DNS_ADDRESSES_MAX };

static void fail(pg_conn *c, sx_status st, const sx_error *err)
{
    sx_error copy = *err;
    pg_pool_connect_failed(c, st, &copy);
}

sx_status pg_conninfo_check(const pg_lib *lib, const char *conninfo, sx_error *err)
{
    char *said = NULL;
    PQconninfoOption *options = lib->PQconninfoParse(conninfo, &said);
    if (!options) {
        size_t len = said ? strcspn(said, "\n") : 0;
        sx_fail(err, said ? SX_EFORMAT : SX_ENOMEM, "the PostgreSQL conninfo cannot be read: %.*s",
                (int)(len < 200 ? len : 200), said ? said : "");
        lib->PQfreemem(said);
        return said ? SX_EFORMAT : SX_ENOMEM;
    }
    lib->PQconninfoFree(options);
    return SX_OK;
}

/* ---- libpq's steps ---- */

static void watch_for(pg_conn *c, PostgresPollingStatusType wanted);

static void on_ready(sx_watch *watch, void *ctx, unsigned events)
{
    pg_conn *c = ctx;
    (void)watch, (void)events;
    pg_enter(c->pg);
    watch_for(c, c->pg->lib->PQconnectPoll(c->handle));
    pg_leave(c->pg);
}

/* libpq has no code for a refused sign-in before version 18: the words of the server are what there is. */
static bool is_sign_in(const char *message)
{
    static const char *const WORDS[] = {"password authentication failed", "no pg_hba.conf entry",
                                        "no password supplied",           "authentication failed",
                                        "permission denied for database", "does not exist"};
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (strstr(message, WORDS[i]))
            return true;
    }
    return false;
}

static void failed(pg_conn *c)
{
    sx_error err;
    pg_conn_error(c, &err);
    if (is_sign_in(err.message) && strstr(err.message, "FATAL"))
        err.status = SX_EACCESS;
    fail(c, err.status, &err);
}

/* Each step may have another socket than the last: the watch is made anew. */
static void watch_for(pg_conn *c, PostgresPollingStatusType wanted)
{
    sx_error err;
    sx_pg *pg = c->pg;
    sx_watch_stop(c->watch);
    c->watch = NULL;
    if (wanted == PGRES_POLLING_FAILED) {
        failed(c);
    } else if (wanted == PGRES_POLLING_OK) {
        pg_conn_begin(c);
    } else {
        unsigned events = wanted == PGRES_POLLING_READING ? SX_WATCH_READ : SX_WATCH_WRITE;
        sx_status st = sx_watch_start(pg->loop, pg->lib->PQsocket(c->handle), events, on_ready, c,
                                      &c->watch, &err);
        if (st != SX_OK)
            fail(c, st, &err);
    }
}

static void on_notice(void *ctx, const char *message)
{
    (void)ctx, (void)message; /* libpq would print it to stderr */
}

/* ---- the parameters ---- */

typedef struct parameters {
    const char *keys[OPTIONS_MAX + 8];
    const char *values[OPTIONS_MAX + 8];
    size_t count;
} parameters;

static void add(parameters *p, const char *key, const char *value)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->keys[i], key) == 0) {
            p->values[i] = value;
            return;
        }
    }
    if (p->count < OPTIONS_MAX) {
        p->keys[p->count] = key;
        p->values[p->count++] = value;
    }
}

static const char *value_of(const PQconninfoOption *options, const char *key)
{
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, key) == 0)
            return o->val && o->val[0] ? o->val : NULL;
    }
    return NULL;
}

/* The next of a comma-separated list. */
static sx_str next_of(sx_str *list)
{
    sx_str item;
    sx_str_cut(*list, ',', &item, list);
    return item;
}

static sx_str address_text(sx_arena *arena, const sx_address *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (a->any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &a->v6.sin6_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET, &a->v4.sin_addr, text, sizeof(text));
    return sx_arena_copy(arena, sx_str_z(text));
}

static void add_item(sx_buf *list, bool is_first, sx_str item)
{
    if (!is_first)
        sx_buf_byte(list, ',');
    sx_buf_str(list, item);
}

/* host, hostaddr and port as lists of the same length. */
static bool add_hosts(pg_conn *c, parameters *p)
{
    sx_buf lists[3];
    size_t count = 0;
    bool ok = true;
    for (int i = 0; i < 3; i++)
        sx_buf_init(&lists[i], 0);
    for (uint32_t i = 0; i < c->host_count; i++) {
        const pg_host *h = &c->hosts[i];
        size_t n = h->addresses.count ? h->addresses.count : 1;
        for (size_t k = 0; k < n; k++, count++) {
            sx_str address =
                h->addresses.count ? address_text(&c->arena, &h->addresses.items[k]) : h->address;
            add_item(&lists[0], count == 0, h->host);
            add_item(&lists[1], count == 0, address);
            add_item(&lists[2], count == 0, h->port);
        }
    }
    static const char *const KEYS[] = {"host", "hostaddr", "port"};
    for (int i = 0; i < 3; i++) {
        sx_str text = sx_arena_copy(&c->arena, sx_buf_view(&lists[i]));
        ok &= text.data != NULL && !lists[i].failed;
        if (ok)
            add(p, KEYS[i], text.data);
        sx_buf_done(&lists[i]);
    }
    return ok;
}

/* All names are known: hands over to libpq. */
static void start_libpq(pg_conn *c)
{
    sx_pg *pg = c->pg;
    const pg_lib *lib = pg->lib;
    sx_error err;
    parameters p = {.count = 0};
    PQconninfoOption *options =
        pg->conninfo ? lib->PQconninfoParse(pg->conninfo, NULL) : lib->PQconndefaults();
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        if (o->val && o->val[0])
            add(&p, o->keyword, o->val);
    }
    bool ok = options && (c->host_count == 0 || add_hosts(c, &p));
    if (ok && !value_of(options, "gssencmode"))
        add(&p, "gssencmode", "disable"); /* it would ask the credential cache, blocking */
    if (ok && !value_of(options, "client_encoding"))
        add(&p, "client_encoding", "UTF8");
    if (ok)
        add(&p, "fallback_application_name", pg->scope.target);
    if (ok)
        c->handle = lib->PQconnectStartParams(p.keys, p.values, 0);
    if (options)
        lib->PQconninfoFree(options);
    if (!c->handle) {
        sx_fail_memory(&err, "a connection to PostgreSQL");
        fail(c, SX_ENOMEM, &err);
    } else if (lib->PQstatus(c->handle) == CONNECTION_BAD) {
        failed(c);
    } else {
        lib->PQsetNoticeProcessor(c->handle, on_notice, NULL);
        watch_for(c, PGRES_POLLING_WRITING);
    }
}

/* ---- names ---- */

static void on_resolved(void *ctx, sx_status status, const sx_addresses *addresses,
                        const sx_error *err)
{
    pg_host *h = ctx;
    pg_conn *c = h->conn;
    sx_pg *pg = c->pg;
    pg_enter(pg);
    h->lookup = NULL;
    c->lookups--;
    if (status == SX_OK)
        h->addresses = *addresses;
    else
        h->host.len = 0; /* the others may do */
    if (c->lookups == 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < c->host_count; i++) {
            if (c->hosts[i].host.len || c->hosts[i].address.len)
                c->hosts[kept++] = c->hosts[i];
        }
        c->host_count = kept;
        if (kept)
            start_libpq(c);
        else
            fail(c, status == SX_OK ? SX_ENOTFOUND : status, err);
    }
    pg_leave(pg);
}

static sx_str copy(pg_conn *c, sx_str text, bool *ok)
{
    sx_str made = sx_arena_copy(&c->arena, text);
    *ok &= made.data != NULL;
    return made;
}

/* The hosts of the conninfo, or of the environment. */
static sx_status list_hosts(pg_conn *c, sx_error *err)
{
    const pg_lib *lib = c->pg->lib;
    PQconninfoOption *given = c->pg->conninfo ? lib->PQconninfoParse(c->pg->conninfo, NULL) : NULL;
    PQconninfoOption *usual = lib->PQconndefaults();
    const char *keys[] = {"host", "hostaddr", "port"}, *texts[3];
    bool ok = usual != NULL;
    for (int i = 0; i < 3; i++) {
        texts[i] = value_of(given, keys[i]);
        if (!texts[i])
            texts[i] = value_of(usual, keys[i]);
    }
    sx_str hosts = sx_str_z(texts[0]), addresses = sx_str_z(texts[1]), ports = sx_str_z(texts[2]);
    sx_str last_port = {0};
    c->hosts = sx_arena_calloc(&c->arena, PG_HOSTS_MAX, sizeof(*c->hosts));
    ok &= c->hosts != NULL;
    while (ok && (hosts.len || addresses.len) && c->host_count < PG_HOSTS_MAX) {
        pg_host *h = &c->hosts[c->host_count++];
        sx_str port = next_of(&ports);
        last_port = port.len ? port : last_port; /* one port may serve all hosts */
        h->conn = c;
        h->host = copy(c, next_of(&hosts), &ok);
        h->address = copy(c, next_of(&addresses), &ok);
        h->port = copy(c, last_port, &ok);
    }
    if (given)
        lib->PQconninfoFree(given);
    if (usual)
        lib->PQconninfoFree(usual);
    return ok ? SX_OK : sx_fail_memory(err, "a connection to PostgreSQL");
}

/* Whether a host is a name that must be looked up: no path, no address. */
static bool is_name(const pg_host *h)
{
    return h->host.len && h->address.len == 0 && h->host.data[0] != '/' && h->host.data[0] != '@';
}

static sx_status look_up(pg_conn *c, sx_error *err)
{
    sx_pg *pg = c->pg;
    sx_status st = SX_OK;
    for (uint32_t i = 0; st == SX_OK && i < c->host_count; i++) {
        pg_host *h = &c->hosts[i];
        if (!is_name(h))
            continue;
        if (!pg->dns)
            st = sx_dns_new(pg->loop, NULL, &pg->dns, err);
        if (st == SX_OK)
            st = sx_dns_start(pg->dns, h->host, on_resolved, h, &h->lookup, err);
        c->lookups += st == SX_OK;
    }
    return st;
}

/* ---- life ---- */

static void on_timer(sx_timer *timer, void *arg)
{
    pg_conn *c = arg;
    sx_pg *pg = c->pg;
    sx_error err;
    (void)timer;
    pg_enter(pg);
    if (c->is_broken) {
        pg_conn_error(c, &err);
        pg_conn_lost(c, SX_ECLOSED, &err);
    } else if (c->state == PG_CONNECTING && c->is_direct) {
        c->is_direct = false;
        sx_timer_start(pg_timers(pg), &c->timer, pg->options.connect_ms_max);
        start_libpq(c);
    } else if (c->state == PG_CONNECTING) {
        sx_fail(&err, SX_ETIMEOUT, "no connection within %u ms%s", pg->options.connect_ms_max,
                c->handle ? ": the server is silent" : ": the name servers are slow");
        fail(c, SX_ETIMEOUT, &err);
    } else {
        sx_fail(&err, SX_ETIMEOUT, "the server did not end a canceled query within %u ms",
                pg->options.cancel_ms_max);
        pg_conn_lost(c, SX_ETIMEOUT, &err);
    }
    pg_leave(pg);
}

sx_status pg_connect_start(sx_pg *pg, sx_error *err)
{
    pg_conn *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "a connection to PostgreSQL");
    c->pg = pg;
    c->state = PG_CONNECTING;
    c->timer = (sx_timer){.fn = on_timer, .arg = c};
    sx_arena_init(&c->arena, 0, 0);
    sx_map_init(&c->statements, NULL);
    sx_list_init(&c->recent);
    sx_list_init(&c->idle);
    sx_list_push_back(&pg->conns, &c->link);
    pg->conn_count++;
    pg->connecting_count++;
    sx_status st = list_hosts(c, err);
    if (st == SX_OK)
        st = look_up(c, err);
    if (st != SX_OK) {
        pg_pool_drop(c);
        return st;
    }
    if (c->lookups == 0) {
        /* Unix sockets and addresses: nothing to wait for but the next turn. */
        c->is_direct = true;
        sx_timer_start(pg_timers(pg), &c->timer, 0);
    } else {
        sx_timer_start(pg_timers(pg), &c->timer, pg->options.connect_ms_max);
    }
    return SX_OK;
}

void pg_conn_close(pg_conn *c)
{
    for (uint32_t i = 0; c->hosts && i < c->host_count; i++) {
        if (c->hosts[i].lookup)
            sx_dns_cancel(c->hosts[i].lookup);
        c->hosts[i].lookup = NULL;
    }
    sx_timer_stop(pg_timers(c->pg), &c->timer);
    sx_watch_stop(c->watch);
    c->watch = NULL;
    if (c->handle)
        c->pg->lib->PQfinish(c->handle);
    c->handle = NULL;
}

void pg_conn_free(pg_conn *c)
{
    pg_conn_close(c);
    while (!sx_list_empty(&c->recent)) {
        sx_list *link = sx_list_pop_front(&c->recent);
        sx_free(SX_CONTAINER_OF(link, pg_prepared, link));
    }
    sx_free(c->preparing);
    sx_map_done(&c->statements);
    sx_arena_done(&c->arena);
    sx_free(c);
}
