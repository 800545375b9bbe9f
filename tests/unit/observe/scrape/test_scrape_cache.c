/* The cache of a target's series beside a plain model: what it knows, and what it says has gone. */
#include <stdio.h>

#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>

#include "observe/scrape/scrape_cache.h"

enum { KEYS = 60, SCRAPES = 4000 };

typedef struct model {
    bool known[KEYS], tracked[KEYS], stale[KEYS];
} model;

/* A small generator, so that a failure comes again. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static sx_str key_of(int i, char out[64])
{
    return sx_str_of(out, (size_t)snprintf(out, 64, "series_%d{label=\"%d\"}", i, i * 7919));
}

static sx_status take_stale(void *ctx, tsdb_ref ref, sx_error *err)
{
    (void)err;
    bool *gone = ctx;
    assert_false(gone[ref - 1]); /* once each */
    gone[ref - 1] = true;
    return SX_OK;
}

/* One scrape: most keys, mostly in order; some have times of their own and are not tracked. */
static void scrape(scrape_cache *c, model *m, uint32_t *seed, bool fails)
{
    bool seen[KEYS] = {0}, tracked[KEYS] = {0}, gone[KEYS] = {0};
    scrape_cache_begin(c);
    for (int i = 0; i < KEYS; i++) {
        uint32_t r = next_random(seed);
        int k = r % 16 == 0 ? (int)(r / 16 % KEYS) : i;
        char text[64];
        bool memory = true;
        if (r % 11 == 0)
            continue;
        sx_str key = key_of(k, text);
        cache_entry *e = sx_str_eq(scrape_cache_expected(c), key) ? scrape_cache_take(c)
                                                                  : scrape_cache_find(c, key);
        assert_int_equal(e != NULL, m->known[k] || seen[k]);
        if (!e)
            e = scrape_cache_add(c, key, (tsdb_ref)k + 1);
        assert_int_equal(e->ref, k + 1);
        assert_int_equal(scrape_cache_note(c, e, &memory), !seen[k]);
        seen[k] = true;
        if (r % 13) {
            scrape_cache_track(c, e);
            tracked[k] = true;
        }
    }
    assert_int_equal(scrape_cache_each_stale(c, fails, take_stale, gone, NULL), SX_OK);
    for (int k = 0; k < KEYS; k++) {
        if (m->tracked[k] && (fails || !tracked[k]))
            assert_true(gone[k]);
        else if (!fails) /* a failed one may mark what only it would have tracked */
            assert_false(gone[k]);
        m->tracked[k] = !fails && tracked[k];
        m->known[k] = fails ? m->known[k] : seen[k];
    }
    if (fails)
        scrape_cache_fail(c);
    else
        scrape_cache_commit(c);
    scrape_cache_check(c);
}

static void test_against_a_model(void **state)
{
    scrape_cache c;
    model m = {0};
    uint32_t seed = 42;
    (void)state;
    scrape_cache_init(&c);
    for (int i = 0; i < SCRAPES; i++)
        scrape(&c, &m, &seed, next_random(&seed) % 7 == 0);
    scrape_cache_done(&c);
}

/* Series that come and go for ever do not make it grow. */
static void test_churn_is_packed(void **state)
{
    scrape_cache c;
    (void)state;
    scrape_cache_init(&c);
    for (int i = 0; i < 2000; i++) {
        scrape_cache_begin(&c);
        for (int k = 0; k < 50; k++) {
            char text[64];
            bool memory = true;
            sx_str key = key_of(i * 25 + k, text);
            cache_entry *e = scrape_cache_find(&c, key);
            if (!e)
                e = scrape_cache_add(&c, key, 1);
            scrape_cache_note(&c, e, &memory);
        }
        scrape_cache_commit(&c);
    }
    assert_int_equal(c.live, 50);
    assert_true(c.count < 200);
    assert_true(c.keys.used_bytes < 100000);
    scrape_cache_check(&c);
    scrape_cache_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_churn_is_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
