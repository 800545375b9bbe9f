/* test_cache_stores.c - SQLite and Redis as tiers of a cache: what they keep, how they fail, and the
 * whole chain under threads. Redis is played by a small server here, which can hang and hang up. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/cache_stores.h>
#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

static const int64_t DEADLINE_MS = 20000;

/* Polls until `cond` holds or too much time has passed. */
#define WAIT_FOR(cond)                                                                             \
    do {                                                                                           \
        int64_t until = sx_clock_mono_ms(sx_clock_system()) + DEADLINE_MS;                         \
        while (!(cond)) {                                                                          \
            assert_true(sx_clock_mono_ms(sx_clock_system()) < until);                              \
            sched_yield();                                                                         \
        }                                                                                          \
    } while (0)

/* ---- a call and its answer ---- */

typedef struct call {
    _Atomic int calls;
    sx_status status;
    char record[4096];
    size_t len;
} call;

static void on_done(void *ctx, sx_status status, sx_str record)
{
    call *c = ctx;
    c->status = status;
    c->len = record.len < sizeof(c->record) ? record.len : sizeof(c->record);
    if (c->len)
        memcpy(c->record, record.data, c->len);
    c->calls++;
}

static sx_status tier_get(sx_cache_tier *tier, const char *key, call *c)
{
    c->calls = 0;
    tier->get(tier, sx_str_z(key), (uint32_t)DEADLINE_MS, on_done, c);
    WAIT_FOR(c->calls);
    return c->status;
}

static sx_status tier_set(sx_cache_tier *tier, const char *key, sx_str record, uint32_t ttl_ms)
{
    call c = {0};
    tier->set(tier, sx_str_z(key), record, ttl_ms, on_done, &c);
    WAIT_FOR(c.calls);
    return c.status;
}

static sx_status tier_remove(sx_cache_tier *tier, const char *key)
{
    call c = {0};
    tier->remove(tier, sx_str_z(key), on_done, &c);
    WAIT_FOR(c.calls);
    return c.status;
}

static void expect_record(sx_cache_tier *tier, const char *key, const char *record)
{
    call c = {0};
    assert_int_equal(tier_get(tier, key, &c), SX_OK);
    assert_true(sx_str_eq(sx_str_of(c.record, c.len), sx_str_z(record)));
}

static void expect_none(sx_cache_tier *tier, const char *key)
{
    call c = {0};
    assert_int_equal(tier_get(tier, key, &c), SX_ENOTFOUND);
}

/* ---- SQLite ---- */

typedef struct disk {
    temp_folder folder;
    sx_fake_clock clock;
    sx_kit kit;
    sx_cache_tier *tier;
} disk;

static void disk_open(disk *d, uint64_t bytes_max)
{
    sx_error err = {0};
    d->kit.clock = &d->clock.clock;
    sx_cache_sqlite_options options = {.path = in_folder(&d->folder, "cache.db"),
                                       .bytes_max = bytes_max};
    sx_status status = sx_cache_sqlite_tier_new(&d->kit, &options, &d->tier, &err);
    if (status != SX_OK)
        fail_msg("%s", err.message);
}

static void disk_make(disk *d, uint64_t bytes_max)
{
    memset(d, 0, sizeof(*d));
    assert_int_equal(temp_folder_make(&d->folder), 0);
    sx_fake_clock_init(&d->clock, 1700000000000);
    disk_open(d, bytes_max);
}

static void disk_remove(disk *d)
{
    sx_cache_tier_free(d->tier);
    folder_remove(d->folder.path);
}

static void test_a_file_keeps_records_until_their_time(void **state)
{
    (void)state;
    disk d;
    disk_make(&d, 0);
    expect_none(d.tier, "a");
    assert_int_equal(tier_set(d.tier, "a", SX_STR("one"), 1000), SX_OK);
    assert_int_equal(tier_set(d.tier, "b", SX_STR(""), 5000), SX_OK);
    expect_record(d.tier, "a", "one");
    expect_record(d.tier, "b", "");
    assert_int_equal(tier_set(d.tier, "a", SX_STR("two"), 1000), SX_OK);
    expect_record(d.tier, "a", "two");
    assert_int_equal(tier_remove(d.tier, "b"), SX_OK);
    expect_none(d.tier, "b");
    sx_cache_tier_free(d.tier);
    disk_open(&d, 0); /* a restart */
    expect_record(d.tier, "a", "two");
    sx_fake_clock_advance(&d.clock, 1000);
    expect_none(d.tier, "a");
    disk_remove(&d);
}

static void test_a_file_is_bounded_and_the_oldest_goes(void **state)
{
    (void)state;
    disk d;
    disk_make(&d, 1 << 20);
    static char value[20000];
    char key[16];
    for (int i = 0; i < 200; i++) { /* 4 MB */
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(tier_set(d.tier, key, sx_str_of(value, sizeof(value)), 100000), SX_OK);
    }
    expect_none(d.tier, "k0");
    call c = {0};
    assert_int_equal(tier_get(d.tier, "k199", &c), SX_OK);
    /* One too big for it is not kept, and ends the one before it. */
    char *big = sx_calloc(1, 1 << 20);
    assert_non_null(big);
    assert_int_equal(tier_set(d.tier, "k199", sx_str_of(big, 1 << 20), 1000), SX_OK);
    expect_none(d.tier, "k199");
    sx_free(big);
    sx_cache_tier_free(d.tier);
    sx_file_info info;
    assert_int_equal(sx_file_stat(in_folder(&d.folder, "cache.db"), &info, NULL), SX_OK);
    assert_true(info.bytes < 3 << 19);
    disk_open(&d, 1 << 20);
    disk_remove(&d);
}

/* Overwrites a part of the file with nonsense. */
static void damage(disk *d, long from, size_t bytes)
{
    FILE *f = fopen(in_folder(&d->folder, "cache.db"), "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, from, SEEK_SET), 0);
    for (size_t i = 0; i < bytes; i++)
        assert_int_not_equal(fputc((int)(i * 7 + 13) & 255, f), EOF);
    assert_int_equal(fclose(f), 0);
}

static bool was_moved_aside(disk *d)
{
    sx_file_info info;
    return sx_file_stat(in_folder(&d->folder, "cache.db.damaged"), &info, NULL) == SX_OK;
}

static void test_a_damaged_file_is_begun_anew(void **state)
{
    (void)state;
    disk d;
    disk_make(&d, 0);
    assert_int_equal(tier_set(d.tier, "a", SX_STR("one"), 1000), SX_OK);
    sx_cache_tier_free(d.tier);
    damage(&d, 0, 4096); /* not even a database */
    disk_open(&d, 0);
    assert_true(was_moved_aside(&d));
    expect_none(d.tier, "a");
    assert_int_equal(tier_set(d.tier, "a", SX_STR("two"), 1000), SX_OK);
    expect_record(d.tier, "a", "two");
    disk_remove(&d);
}

static void test_damage_found_later_is_mended_too(void **state)
{
    (void)state;
    disk d;
    disk_make(&d, 0);
    char key[16];
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "key number %d", i);
        assert_int_equal(tier_set(d.tier, key, SX_STR("a record of some length"), 100000), SX_OK);
    }
    sx_cache_tier_free(d.tier);
    damage(&d, 4096, 60000); /* all but the first page */
    disk_open(&d, 0);
    call c = {0};
    for (int i = 0; i < 500 && !was_moved_aside(&d); i++) {
        snprintf(key, sizeof(key), "key number %d", i);
        (void)tier_get(d.tier, key, &c);
    }
    WAIT_FOR(was_moved_aside(&d));
    WAIT_FOR(tier_set(d.tier, "a", SX_STR("two"), 1000) == SX_OK);
    expect_record(d.tier, "a", "two");
    disk_remove(&d);
}

static void test_a_path_must_be_good(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_cache_tier *tier;
    sx_cache_sqlite_options options = {0};
    assert_int_equal(sx_cache_sqlite_tier_new(NULL, &options, &tier, &err), SX_EINVAL);
    options.path = "/nonexistent/folder/cache.db";
    assert_int_not_equal(sx_cache_sqlite_tier_new(NULL, &options, &tier, &err), SX_OK);
    assert_non_null(strstr(err.message, "/nonexistent/folder/cache.db"));
}

static void test_every_call_is_answered_once(void **state)
{
    (void)state;
    enum { CALLS = 2000 };
    static call calls[CALLS];
    memset(calls, 0, sizeof(calls));
    disk d;
    disk_make(&d, 0);
    sx_cache_tier_free(d.tier);
    sx_cache_sqlite_options options = {.path = in_folder(&d.folder, "cache.db"), .queue_max = 8};
    assert_int_equal(sx_cache_sqlite_tier_new(&d.kit, &options, &d.tier, NULL), SX_OK);
    for (int i = 0; i < CALLS; i++) {
        sx_str key = sx_str_of(&i, sizeof(i));
        if (i % 3 == 0)
            d.tier->get(d.tier, key, 1000, on_done, &calls[i]);
        else if (i % 3 == 1)
            d.tier->set(d.tier, key, SX_STR("x"), 1000, on_done, &calls[i]);
        else
            d.tier->remove(d.tier, key, on_done, &calls[i]);
    }
    sx_cache_tier_free(d.tier);
    int done = 0, refused = 0;
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].calls, 1);
        done += calls[i].status == SX_OK || calls[i].status == SX_ENOTFOUND;
        refused += calls[i].status == SX_REFUSED;
        assert_true(calls[i].status != SX_ECANCELED || i % 3 == 0); /* writes are finished */
    }
    assert_true(done > 0 && refused > 0); /* eight may wait */
    folder_remove(d.folder.path);
}

static void test_without_memory_a_file_is_not_opened(void **state)
{
    (void)state;
    disk d;
    disk_make(&d, 0);
    sx_cache_tier_free(d.tier);
    for (int64_t nth = 1; nth < 2000; nth++) {
        sx_error err = {0};
        sx_cache_sqlite_options options = {.path = in_folder(&d.folder, "cache.db")};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = sx_cache_sqlite_tier_new(&d.kit, &options, &d.tier, &err);
        bool is_over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (status == SX_OK) {
            expect_none(d.tier, "a");
            sx_cache_tier_free(d.tier);
        }
        if (is_over)
            break;
    }
    folder_remove(d.folder.path);
}

/* ---- Redis ---- */

enum { WORDS = 8, WORD_BYTES = 8192, KEPT = 64 };

typedef struct fake_redis {
    int listener, port;
    pthread_t thread;
    _Atomic bool hangs;    /* reads, says nothing */
    _Atomic bool hangs_up; /* ends each connection at its first command */
    _Atomic int commands;
    char key[KEPT][64], value[KEPT][2048];
    size_t key_len[KEPT], value_len[KEPT], count;
    _Atomic long last_px;
} fake_redis;

static void fake_redis_start(fake_redis *r)
{
    memset(r, 0, sizeof(*r));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(r->listener >= 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(r->listener, 8), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&at, &len), 0);
    r->port = ntohs(at.sin_port);
}

/* One command: an array of bulk strings. False at the end of the connection. */
static bool read_command(FILE *in, char words[WORDS][WORD_BYTES], size_t lens[WORDS], int *count)
{
    if (fscanf(in, "*%d\r\n", count) != 1 || *count < 1 || *count > WORDS)
        return false;
    for (int i = 0; i < *count; i++) {
        if (fscanf(in, "$%zu", &lens[i]) != 1 || lens[i] >= WORD_BYTES)
            return false;
        char skip[2];
        if (fread(skip, 1, 2, in) != 2 || fread(words[i], 1, lens[i], in) != lens[i] ||
            fread(skip, 1, 2, in) != 2)
            return false;
        words[i][lens[i]] = '\0';
    }
    return true;
}

static size_t find_kept(const fake_redis *r, const char *key, size_t len)
{
    size_t i = 0;
    while (i < r->count && !(r->key_len[i] == len && memcmp(r->key[i], key, len) == 0))
        i++;
    return i;
}

static void answer_command(fake_redis *r, FILE *out, char words[WORDS][WORD_BYTES],
                           const size_t lens[WORDS], int count)
{
    size_t i = count > 1 && lens[1] < 64 ? find_kept(r, words[1], lens[1]) : r->count;
    if (strcmp(words[0], "GET") == 0) {
        if (i == r->count) {
            fprintf(out, "$-1\r\n");
        } else {
            fprintf(out, "$%zu\r\n", r->value_len[i]);
            fwrite(r->value[i], 1, r->value_len[i], out);
            fprintf(out, "\r\n");
        }
    } else if (strcmp(words[0], "SET") == 0 && lens[1] < 64 && lens[2] < 2048) {
        memcpy(r->key[i], words[1], lens[1]);
        r->key_len[i] = lens[1];
        memcpy(r->value[i], words[2], lens[2]);
        r->value_len[i] = lens[2];
        r->count += i == r->count;
        r->last_px = count > 4 ? strtol(words[4], NULL, 10) : 0;
        fprintf(out, "+OK\r\n");
    } else if (strcmp(words[0], "DEL") == 0) {
        fprintf(out, ":%d\r\n", i < r->count);
        if (i < r->count)
            r->key_len[i] = 0;
    } else {
        fprintf(out, "+PONG\r\n");
    }
    fflush(out);
}

static void *fake_redis_run(void *arg)
{
    fake_redis *r = arg;
    static char words[WORDS][WORD_BYTES];
    size_t lens[WORDS];
    int count, fd;
    while ((fd = accept(r->listener, NULL, NULL)) >= 0) {
        FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
        assert_true(in && out);
        while (read_command(in, words, lens, &count)) {
            r->commands++;
            if (r->hangs_up)
                break;
            if (!r->hangs)
                answer_command(r, out, words, lens, count);
        }
        fclose(in);
        fclose(out);
    }
    return NULL;
}

typedef struct shared {
    fake_redis server;
    sx_loop *loop;
    pthread_t loop_thread;
    sx_redis *redis;
    sx_cache_tier *tier;
} shared;

static void *run_loop(void *arg)
{
    sx_loop_run(arg);
    return NULL;
}

static void shared_open(shared *s)
{
    sx_error err = {0};
    char url[64];
    fake_redis_start(&s->server);
    assert_int_equal(pthread_create(&s->server.thread, NULL, fake_redis_run, &s->server), 0);
    assert_int_equal(sx_loop_new(NULL, 0, &s->loop, &err), SX_OK);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d", s->server.port);
    assert_int_equal(sx_redis_new(s->loop, NULL, &(sx_redis_options){.url = url}, &s->redis, &err),
                     SX_OK);
    assert_int_equal(sx_cache_redis_tier_new(s->redis, NULL, &s->tier, &err), SX_OK);
    assert_int_equal(pthread_create(&s->loop_thread, NULL, run_loop, s->loop), 0);
}

static void shared_close(shared *s)
{
    sx_cache_tier_free(s->tier);
    sx_loop_stop(s->loop);
    pthread_join(s->loop_thread, NULL);
    sx_redis_free(s->redis);
    sx_loop_free(s->loop);
    shutdown(s->server.listener, SHUT_RDWR);
    pthread_join(s->server.thread, NULL);
    close(s->server.listener);
}

static void test_redis_keeps_records(void **state)
{
    (void)state;
    static shared s;
    shared_open(&s);
    WAIT_FOR(tier_set(s.tier, "a", SX_STR("one"), 1234) == SX_OK); /* once it is connected */
    assert_int_equal(s.server.last_px, 1234);
    expect_record(s.tier, "a", "one");
    assert_int_equal(tier_set(s.tier, "a", SX_STR("tw\0o"), 1000), SX_OK);
    call c = {0};
    assert_int_equal(tier_get(s.tier, "a", &c), SX_OK);
    assert_int_equal(c.len, 4);
    assert_int_equal(tier_remove(s.tier, "a"), SX_OK);
    expect_none(s.tier, "a");
    shared_close(&s);
}

static void test_redis_that_hangs_or_goes_is_an_error_in_time(void **state)
{
    (void)state;
    static shared s;
    shared_open(&s);
    WAIT_FOR(tier_set(s.tier, "a", SX_STR("one"), 100000) == SX_OK);
    s.server.hangs = true;
    call c = {0};
    s.tier->get(s.tier, SX_STR("a"), 30, on_done, &c);
    WAIT_FOR(c.calls);
    assert_int_equal(c.status, SX_ETIMEOUT);
    s.server.hangs = false;
    s.server.hangs_up = true;
    WAIT_FOR(tier_get(s.tier, "a", &c) == SX_ECLOSED);
    s.server.hangs_up = false;
    WAIT_FOR(tier_get(s.tier, "a", &c) == SX_OK); /* comes back by itself */
    /* Calls that are under way when the end comes. */
    s.server.hangs = true;
    call last[3] = {0};
    s.tier->get(s.tier, SX_STR("a"), 10000, on_done, &last[0]);
    int commands = s.server.commands;
    WAIT_FOR(s.server.commands > commands || last[0].calls);
    s.tier->get(s.tier, SX_STR("a"), 10000, on_done, &last[1]);
    s.tier->remove(s.tier, SX_STR("a"), on_done, &last[2]);
    shared_close(&s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(last[i].calls, 1);
}

/* ---- the chain ---- */

typedef struct chain {
    sx_cache *cache;
    sx_cache_tiers *tiers;
} chain;

static void chain_open(chain *c, sx_cache_tier *first, sx_cache_tier *second)
{
    static const sx_cache_class CLASSES[] = {{.name = "thing", .ttl_ms = 60000}};
    sx_error err = {0};
    assert_int_equal(
        sx_cache_tiers_new(
            &(sx_cache_tiers_options){
                .prefix = "t:", .tiers = {first, second}, .count = 2, .get_ms_max = 5000},
            &c->tiers, &err),
        SX_OK);
    assert_int_equal(sx_cache_new(&(sx_cache_options){.bytes_max = 1 << 20,
                                                      .classes = CLASSES,
                                                      .class_count = 1,
                                                      .tiers = c->tiers},
                                  &c->cache, &err),
                     SX_OK);
}

static void chain_close(chain *c)
{
    sx_cache_free(c->cache);
    sx_cache_tiers_free(c->tiers);
}

typedef struct answer {
    _Atomic int calls;
    sx_cache_result result;
    char value[32];
    sx_cache_token token;
} answer;

static void on_answer(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    answer *a = ctx;
    a->result = result;
    a->token = view->token;
    snprintf(a->value, sizeof(a->value), "%.*s", SX_ARG(view->value));
    sx_cache_release(view);
    a->calls++;
}

static void chain_ask(chain *c, const char *key, answer *a)
{
    sx_cache_view v;
    a->calls = 0;
    assert_int_equal(sx_cache_get(c->cache, sx_str_z(key), 0,
                                  &(sx_cache_ask){.answer = on_answer, .ctx = a}, &v),
                     SX_CACHE_WAIT);
    WAIT_FOR(a->calls);
}

static void test_memory_then_redis_then_disk(void **state)
{
    (void)state;
    static shared s;
    disk d;
    chain c;
    answer a = {0};
    shared_open(&s);
    disk_make(&d, 0);
    sx_fake_clock_jump(&d.clock, sx_clock_ms(sx_clock_system()));
    WAIT_FOR(tier_set(s.tier, "warm", SX_STR("x"), 100000) == SX_OK);
    chain_open(&c, s.tier, d.tier);
    chain_ask(&c, "a", &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    assert_int_equal(sx_cache_fill(c.cache, a.token, SX_STR("one"), NULL, NULL), SX_OK);
    WAIT_FOR(sx_cache_tiers_stats_of(c.tiers, 0).written == 1);
    WAIT_FOR(sx_cache_tiers_stats_of(c.tiers, 1).written == 1);
    chain_close(&c);

    chain_open(&c, s.tier, d.tier); /* another process, as it were */
    chain_ask(&c, "a", &a);
    assert_int_equal(a.result, SX_CACHE_HIT);
    assert_string_equal(a.value, "one");
    assert_int_equal(sx_cache_tiers_stats_of(c.tiers, 0).hits, 1);
    chain_close(&c);

    assert_int_equal(tier_remove(s.tier, "t:a"), SX_OK); /* Redis has lost it: the disk has not */
    chain_open(&c, s.tier, d.tier);
    chain_ask(&c, "a", &a);
    assert_int_equal(a.result, SX_CACHE_HIT);
    assert_int_equal(sx_cache_tiers_stats_of(c.tiers, 1).hits, 1);
    WAIT_FOR(sx_cache_tiers_stats_of(c.tiers, 0).written == 1); /* and gives it back */
    sx_cache_remove(c.cache, SX_STR("a"));
    WAIT_FOR(sx_cache_tiers_stats_of(c.tiers, 0).written == 2);
    WAIT_FOR(sx_cache_tiers_stats_of(c.tiers, 1).written == 1);
    chain_ask(&c, "a", &a);
    assert_int_equal(a.result, SX_CACHE_LOAD);
    chain_close(&c);
    disk_remove(&d);
    shared_close(&s);
}

enum { THREADS = 4, TURNS = 1500, KEYS = 300 };

static void load_number(void *load_ctx, sx_cache *cache, sx_str key, sx_cache_token token)
{
    (void)load_ctx;
    sx_cache_fill(cache, token, key, NULL, NULL);
}

static void check_number(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    _Atomic int *told = ctx;
    assert_int_equal(result, SX_CACHE_HIT);
    assert_int_equal(view->value.len, sizeof(unsigned));
    sx_cache_release(view);
    (*told)++;
}

static void *use_chain(void *arg)
{
    chain *c = arg;
    _Atomic int told = 0;
    int asked = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        unsigned key = i * 31 % KEYS;
        sx_str name = sx_str_of(&key, sizeof(key));
        sx_cache_view v;
        sx_cache_result r = sx_cache_get(
            c->cache, name, 0,
            &(sx_cache_ask){.answer = check_number, .ctx = &told, .load = load_number}, &v);
        asked += r == SX_CACHE_WAIT;
        if (v.hold)
            assert_memory_equal(v.value.data, &key, sizeof(key));
        sx_cache_release(&v);
        if (i % 5 == 0)
            sx_cache_remove(c->cache, name);
        if (i % 400 == 0)
            sx_cache_remove_prefix(c->cache, sx_str_of(&key, 1));
        if (i % 64 == 0)
            sx_cache_sweep(c->cache);
    }
    WAIT_FOR(told == asked);
    return NULL;
}

static void test_threads_over_both(void **state)
{
    (void)state;
    static shared s;
    disk d;
    chain c;
    shared_open(&s);
    disk_make(&d, 0);
    sx_fake_clock_jump(&d.clock, sx_clock_ms(sx_clock_system()));
    s.server.hangs_up = true; /* down all the time: the disk serves */
    chain_open(&c, s.tier, d.tier);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_chain, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sx_cache_check(c.cache);
    sx_cache_tier_stats stats = sx_cache_tiers_stats_of(c.tiers, 1);
    assert_true(stats.written > 0);
    assert_int_equal(stats.corrupt, 0);
    chain_close(&c);
    disk_remove(&d);
    shared_close(&s);
}

static void on_any_answer(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    _Atomic int *told = ctx;
    (void)result;
    sx_cache_release(view);
    (*told)++;
}

/* The disk's thread answers while the cache goes: nobody is forgotten, nothing is used after it. */
static void test_a_cache_goes_while_tiers_answer(void **state)
{
    (void)state;
    disk d;
    disk_make(&d, 0);
    sx_fake_clock_jump(&d.clock, sx_clock_ms(sx_clock_system()));
    for (unsigned round = 0; round < 60; round++) {
        chain c;
        _Atomic int told = 0;
        int asked = 0;
        chain_open(&c, d.tier, d.tier);
        for (unsigned i = 0; i < 20; i++) {
            sx_cache_view v;
            asked += sx_cache_get(c.cache, sx_str_of(&i, sizeof(i)), 0,
                                  &(sx_cache_ask){.answer = on_any_answer,
                                                  .ctx = &told,
                                                  .load = i % 2 ? load_number : NULL},
                                  &v) == SX_CACHE_WAIT;
            sx_cache_release(&v);
        }
        if (round % 3)
            WAIT_FOR(told >= (int)round / 3);
        chain_close(&c);
        assert_int_equal(told, asked);
    }
    disk_remove(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_keeps_records_until_their_time),
        cmocka_unit_test(test_a_file_is_bounded_and_the_oldest_goes),
        cmocka_unit_test(test_a_damaged_file_is_begun_anew),
        cmocka_unit_test(test_damage_found_later_is_mended_too),
        cmocka_unit_test(test_a_path_must_be_good),
        cmocka_unit_test(test_every_call_is_answered_once),
        cmocka_unit_test(test_without_memory_a_file_is_not_opened),
        cmocka_unit_test(test_redis_keeps_records),
        cmocka_unit_test(test_redis_that_hangs_or_goes_is_an_error_in_time),
        cmocka_unit_test(test_memory_then_redis_then_disk),
        cmocka_unit_test(test_threads_over_both),
        cmocka_unit_test(test_a_cache_goes_while_tiers_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
