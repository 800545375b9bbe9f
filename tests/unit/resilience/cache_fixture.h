/* cache_fixture.h - a small cache on a clock that a test moves, and an asker that writes down what it
 * was told. */
#ifndef SEXTANT_TESTS_CACHE_FIXTURE_H
#define SEXTANT_TESTS_CACHE_FIXTURE_H

#include <stdio.h>

#include <sextant/cache.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

/* The classes that the fixture's cache has. */
enum { PLAIN, STALE, FORGETFUL, CLASSES };
static const sx_cache_class CACHE_CLASSES[CLASSES] = {
    [PLAIN] = {.name = "plain", .ttl_ms = 1000, .negative_ttl_ms = 200},
    [STALE] = {.name = "stale",
               .ttl_ms = 1000,
               .stale_ms = 500,
               .stale_error_ms = 5000,
               .error_ttl_ms = 300,
               .retry_ms = 100},
    [FORGETFUL] = {.name = "forgetful", .ttl_ms = 10},
};

typedef struct cache_fixture {
    sx_fake_clock clock;
    sx_cache *cache;
} cache_fixture;

static inline sx_cache_options cache_options(cache_fixture *f)
{
    sx_fake_clock_init(&f->clock, 1700000000000);
    return (sx_cache_options){.bytes_max = 1 << 20,
                              .classes = CACHE_CLASSES,
                              .class_count = CLASSES,
                              .clock = &f->clock.clock,
                              .seed = 42};
}

static inline void cache_open(cache_fixture *f)
{
    sx_error err = {0};
    sx_cache_options options = cache_options(f);
    assert_int_equal(sx_cache_new(&options, &f->cache, &err), SX_OK);
}

static inline void cache_close(cache_fixture *f)
{
    assert_true(sx_cache_check(f->cache));
    sx_cache_free(f->cache);
}

/* Stores a text under a text. */
static inline void put(cache_fixture *f, const char *key, unsigned class_index, const char *value)
{
    sx_error err = {0};
    assert_int_equal(
        sx_cache_put(f->cache, sx_str_z(key), class_index, sx_str_z(value), NULL, &err), SX_OK);
}

/* Looks, and compares with what is expected; `value` NULL: any. */
static inline void expect(cache_fixture *f, const char *key, sx_cache_result result,
                          const char *value)
{
    sx_cache_view v;
    assert_string_equal(
        sx_cache_result_name(sx_cache_get(f->cache, sx_str_z(key), PLAIN, NULL, &v)),
        sx_cache_result_name(result));
    if (value)
        assert_true(sx_str_eq(v.value, sx_str_z(value)));
    sx_cache_release(&v);
}

/* One who asks and writes down the answer. */
typedef struct asker {
    int calls;
    sx_cache_result result;
    sx_status status;
    char value[64];
    sx_cache_token token; /* of a loader that it was */
    int loads;
} asker;

static inline void answered(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    asker *a = ctx;
    a->calls++;
    a->result = result;
    a->status = view->status;
    snprintf(a->value, sizeof(a->value), "%.*s", SX_ARG(view->value));
    if (view->token.id)
        a->token = view->token;
    sx_cache_release(view);
}

static inline void remember_token(void *load_ctx, sx_cache *cache, sx_str key, sx_cache_token token)
{
    asker *a = load_ctx;
    (void)cache;
    (void)key;
    a->loads++;
    a->token = token;
}

/* Asks; what was there at once is written down in `a` without counting as a call. */
static inline sx_cache_result ask(cache_fixture *f, const char *key, unsigned class_index, asker *a)
{
    sx_cache_view v;
    sx_cache_result r = sx_cache_get(f->cache, sx_str_z(key), class_index,
                                     &(sx_cache_ask){.answer = answered, .ctx = a}, &v);
    if (r != SX_CACHE_WAIT) { /* else it may have been answered already */
        a->token = v.token;
        a->status = v.status;
        snprintf(a->value, sizeof(a->value), "%.*s", SX_ARG(v.value));
    }
    sx_cache_release(&v);
    return r;
}

#endif
