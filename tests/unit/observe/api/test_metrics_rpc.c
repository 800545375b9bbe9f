/* test_metrics_rpc.c - OTLP metrics by gRPC: which status a client gets for what cannot be taken. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/api/receive.h"

typedef struct fixture {
    observe_api api;
    observe_flags flags;
    char dir[64];
} fixture;

static int open_fixture(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    sx_error err = {0};
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/sx-metrics-rpc-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(observe_flags_parse(0, NULL, &f->flags, &err), SX_OK);
    assert_int_equal(tsdb_open(f->dir, NULL, &f->api.db, &err), SX_OK);
    assert_int_equal(
        api_writers_new(tsdb_appendable_of(f->api.db), &f->flags, &f->api.writers, &err), SX_OK);
    assert_int_equal(
        prom_config_parse(SX_STR("global: {}\n"), SX_STR("c"), NULL, &f->api.config, NULL, &err),
        SX_OK);
    f->api.flags = &f->flags;
    pthread_mutex_init(&f->api.lock, NULL);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    char command[96];
    prom_config_unref(f->api.config);
    api_writers_free(f->api.writers);
    tsdb_close(f->api.db);
    observe_flags_done(&f->flags);
    pthread_mutex_destroy(&f->api.lock);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    sx_free(f);
    return 0;
}

/* Exporters give up what is INVALID_ARGUMENT, and send what is RESOURCE_EXHAUSTED again only if the
 * answer says when: here it does not, as the request will not be shorter the next time. */
static void test_a_request_over_the_limit_is_resource_exhausted(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    size_t len = API_WRITE_BYTES_MAX + 1;
    char *body = sx_calloc(len, 1);
    assert_non_null(body);
    rpc_call c = {.request = sx_str_of(body, len)};
    assert_int_equal(api_otlp_metrics_rpc(&c, &f->api, &err), SX_GRPC_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "more than the limit"));
    sx_free(body);
}

static void test_what_is_no_request_is_an_invalid_argument(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    rpc_call c = {.request = SX_STR("\x0a\xff\xff")};
    assert_int_equal(api_otlp_metrics_rpc(&c, &f->api, &err), SX_GRPC_INVALID_ARGUMENT);
    assert_true(err.message[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_over_the_limit_is_resource_exhausted),
        cmocka_unit_test(test_what_is_no_request_is_an_invalid_argument),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
