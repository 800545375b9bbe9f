/* test_collectors.c - processes over made-up /proc trees, and INFO in any state: values, counters that
 * outlive processes, text cut at every byte, no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/file.h>

#include "base/fault.h"
#include "observe/collect/redis_info.h"
#include "observe/collect/site.h"
#include "observe/scrape/exposition.h"

static void assert_readable(sx_str page)
{
    prom_exposition_options options = {.protocol = PROM_PROTOCOL_TEXT_0_0_4};
    prom_exposition *x;
    prom_entry e;
    sx_error err = {0};
    sx_status st;
    assert_int_equal(prom_exposition_new(&options, &x, &err), SX_OK);
    prom_exposition_reset(x, &options, page);
    while ((st = prom_exposition_next(x, &e, &err)) == SX_OK) {
    }
    if (st != SX_END)
        print_error("%s\n", err.message);
    assert_int_equal(st, SX_END);
    prom_exposition_free(x);
}

static void assert_has(const sx_buf *page, const char *line)
{
    sx_str text = sx_buf_view(page);
    if (sx_str_find(text, sx_str_z(line)) == text.len)
        fail_msg("no line %s in %.*s", line, SX_ARG(text));
}

/* ---- processes ---- */

static char root[64];

static void put(const char *path, const char *text)
{
    char whole[256], folder[256];
    sx_error err;
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    snprintf(folder, sizeof folder, "%s", whole);
    char *slash = folder;
    for (char *b = folder; *b; b++)
        slash = *b == '/' ? b : slash;
    *slash = '\0';
    assert_int_equal(sx_folder_make(folder, &err), SX_OK);
    assert_int_equal(sx_file_replace(whole, sx_str_z(text), &err), SX_OK);
}

static void put_process(int pid, const char *comm, int parent, int user_ticks, const char *words)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "%d/stat", pid);
    snprintf(text, sizeof text,
             "%d (%s) S %d 1 1 0 -1 0 5 0 6 0 %d 200 0 0 20 0 3 0 1000 4096 2 0 0\n", pid, comm,
             parent, user_ticks);
    put(path, text);
    snprintf(path, sizeof path, "%d/cmdline", pid);
    put(path, words);
    snprintf(path, sizeof path, "%d/io", pid);
    put(path, "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n");
    snprintf(path, sizeof path, "%d/status", pid);
    put(path, "VmSwap:\t 3 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t8\n");
}

static void remove_process(int pid)
{
    static const char *const FILES[] = {"stat", "cmdline", "io", "status", ""};
    char path[256];
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++) {
        snprintf(path, sizeof path, "%s/%d/%s", root, pid, FILES[i]);
        (void)remove(path);
    }
}

static int make_tree(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/test_collectors.XXXXXX");
    assert_non_null(mkdtemp(root));
    put("stat", "cpu 1\nbtime 1700000000\n");
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char path[256];
    for (int pid = 1; pid < 10; pid++)
        remove_process(pid);
    snprintf(path, sizeof path, "%s/stat", root);
    (void)remove(path);
    return rmdir(root);
}

static collect_site *open_site(collect_site_options *options)
{
    collect_site *s;
    sx_error err;
    options->proc = root;
    assert_int_equal(collect_site_new(options, &s, NULL, &err), SX_OK);
    return s;
}

static void look(collect_site *s, sx_buf *page)
{
    sx_error err;
    sx_buf_clear(page);
    assert_int_equal(collect_process(s, page, &err), SX_OK);
    assert_readable(sx_buf_view(page));
}

static void test_counters_outlive_processes(void **state)
{
    (void)state;
    collect_site_options options = {0};
    sx_buf page;
    sx_buf_init(&page, 0);
    put_process(1, "a b) (x", 0, 100, "one");
    put_process(2, "web", 1, 100, "two");
    put_process(3, "kernel", 0, 100, ""); /* no command line: nobody's, and no parent's */
    collect_site *s = open_site(&options);
    look(s, &page);
    assert_has(&page, "\nnamedprocess_namegroup_num_procs{groupname=\"a b) (x\"} 1\n");
    assert_has(&page,
               "\nnamedprocess_namegroup_cpu_seconds_total{groupname=\"web\",mode=\"user\"} 0\n");
    assert_has(&page, "memory_bytes{groupname=\"web\",memtype=\"swapped\"} 3072\n");
    assert_has(&page, "oldest_start_time_seconds{groupname=\"web\"} 1700000010\n");
    assert_true(sx_str_find(sx_buf_view(&page), SX_STR("kernel")) == page.len);
    put_process(2, "web", 1, 350, "two"); /* 2.5 s more */
    put_process(4, "web", 1, 100, "two"); /* began in between: 1 s */
    look(s, &page);
    assert_has(&page, "cpu_seconds_total{groupname=\"web\",mode=\"user\"} 3.5\n");
    assert_has(&page, "read_bytes_total{groupname=\"web\"} 4096\n");
    remove_process(2);
    remove_process(4);
    look(s, &page);
    assert_has(&page, "\nnamedprocess_namegroup_num_procs{groupname=\"web\"} 0\n");
    assert_has(&page, "cpu_seconds_total{groupname=\"web\",mode=\"user\"} 3.5\n");
    collect_site_free(s);
    sx_buf_done(&page);
}

static void test_a_child_is_in_its_parents_group(void **state)
{
    (void)state;
    char path[128];
    sx_error err;
    sx_buf page;
    sx_buf_init(&page, 0);
    put_process(1, "init", 0, 1, "init");
    put_process(5, "web", 1, 1, "web --port=80");
    put_process(6, "sh", 5, 1, "sh");
    put_process(7, "ls", 6, 1, "ls");
    snprintf(path, sizeof path, "%s.yml", root);
    assert_int_equal(sx_file_replace(path,
                                     SX_STR("process:\n  process_names:\n  - name: 'port "
                                            "{{.Matches.p}} of {{.Comm}}'\n    cmdline: "
                                            "['port=(?P<p>\\d+)']\n"),
                                     &err),
                     SX_OK);
    collect_site_options options = {.file = sx_str_z(path)};
    collect_site *s = open_site(&options);
    look(s, &page);
    assert_has(&page, "\nnamedprocess_namegroup_num_procs{groupname=\"port 80 of web\"} 3\n");
    assert_int_equal(sx_file_replace(path, SX_STR("process: [1]\n"), &err), SX_OK);
    assert_int_equal(collect_site_reload(s, NULL, &err), SX_EFORMAT);
    look(s, &page);
    assert_has(&page, "\nnamedprocess_namegroup_num_procs{groupname=\"port 80 of web\"} 3\n");
    collect_site_free(s);
    (void)remove(path);
    sx_buf_done(&page);
}

static void put_fast(int pid, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%d/%s", root, pid, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Of 4096 groups the last is for all that have none. */
static void test_processes_beyond_the_groups_are_others(void **state)
{
    enum { FIRST = 10, COUNT = 4096 + 4 };
    (void)state;
    char text[256];
    collect_site_options options = {0};
    sx_buf page;
    sx_buf_init(&page, 0);
    for (int pid = 1; pid < FIRST; pid++) /* of other tests */
        remove_process(pid);
    for (int pid = FIRST; pid < FIRST + COUNT; pid++) {
        snprintf(text, sizeof text, "%s/%d", root, pid);
        assert_int_equal(mkdir(text, 0700), 0);
        snprintf(text, sizeof text,
                 "%d (p%d) S 0 1 1 0 -1 0 5 0 6 0 7 200 0 0 20 0 3 0 1000 4096 2 0 0\n", pid, pid);
        put_fast(pid, "stat", text);
        put_fast(pid, "cmdline", "x");
    }
    collect_site *s = open_site(&options);
    look(s, &page);
    assert_has(&page, "\nnamedprocess_namegroup_num_procs{groupname=\"p10\"} 1\n");
    assert_has(&page, "\nnamedprocess_namegroup_num_procs{groupname=\"other\"} 5\n");
    collect_site_free(s);
    sx_buf_done(&page);
    for (int pid = FIRST; pid < FIRST + COUNT; pid++)
        remove_process(pid);
}

static void test_without_memory_a_page_of_processes_says_so(void **state)
{
    (void)state;
    collect_site_options options = {.redis = SX_STR("a=h:1,b=h:2"), .proc = root};
    put_process(1, "init", 0, 1, "init");
    for (unsigned n = 1; n < 60; n++) {
        collect_site *s = NULL;
        sx_error err = {0};
        sx_buf page;
        sx_buf_init(&page, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = collect_site_new(&options, &s, NULL, &err);
        if (st == SX_OK)
            st = collect_process(s, &page, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM);
        collect_site_free(s);
        sx_buf_done(&page);
    }
}

/* ---- Redis ---- */

static const char INFO[] =
    "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:100\r\nexecutable:/bin/redis\r\n"
    "# Clients\r\nconnected_clients:3\r\n# Memory\r\nused_memory:1000\r\nmem_fragmentation_ratio:1.5\r\n"
    "# Persistence\r\nrdb_last_bgsave_status:ok\r\naof_last_write_status:err\r\n"
    "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"
    "master_link_status:up\r\nslave_read_only:1\r\n"
    "slave0:ip=10.0.0.2,port=6380,state=online,offset=42,lag=1\r\n"
    "# Commandstats\r\ncmdstat_get:calls=5,usec=2500000,usec_per_call=1.0,rejected_calls=1,failed_calls=2\r\n"
    "# Errorstats\r\nerrorstat_ERR:count=9\r\n"
    "# Latencystats\r\nlatency_percentiles_usec_get:p50=1.5,p99.9=3\r\n"
    "# Keyspace\r\ndb0:keys=10,expires=2,avg_ttl=1500\r\n";

static void test_info_is_told_as_redis_exporter_does(void **state)
{
    (void)state;
    static const char *const LINES[] = {
        "\nredis_connected_clients 3\n",
        "\nredis_memory_used_bytes 1000\n",
        "\nredis_mem_fragmentation_ratio 1.5\n",
        "\nredis_rdb_last_bgsave_status 1\n",
        "\nredis_aof_last_write_status 0\n",
        "\nredis_commands_total{cmd=\"get\"} 5\n",
        "\nredis_commands_duration_seconds_total{cmd=\"get\"} 2.5\n",
        "\nredis_commands_failed_calls_total{cmd=\"get\"} 2\n",
        "\nredis_errors_total{err=\"ERR\"} 9\n",
        "\nredis_latency_percentiles_usec{cmd=\"get\",quantile=\"99.9\"} 3\n",
        "\nredis_db_keys{db=\"db0\"} 10\n",
        "\nredis_db_keys{db=\"db1\"} 0\n",
        "\nredis_db_avg_ttl_seconds{db=\"db0\"} 1.5\n",
        "\nredis_master_link_up{master_host=\"10.0.0.1\",master_port=\"6379\"} 1\n",
        "\nredis_connected_slave_offset_bytes{slave_ip=\"10.0.0.2\",slave_port=\"6380\","
        "slave_state=\"online\"} 42\n",
    };
    sx_buf page;
    sx_buf_init(&page, 0);
    collector c = {.out = &page};
    redis_info_put(&c, sx_str_z(INFO), 2);
    for (size_t i = 0; i < SX_COUNT_OF(LINES); i++)
        assert_has(&page, LINES[i]);
    assert_readable(sx_buf_view(&page));
    sx_buf_done(&page);
}

/* Every cut, and bytes that a server should not send. */
static void test_any_info_gives_a_page(void **state)
{
    (void)state;
    sx_str whole = sx_str_z(INFO);
    char text[sizeof INFO];
    sx_buf page;
    sx_buf_init(&page, 0);
    for (size_t len = 0; len < whole.len; len++) {
        collector c = {.out = &page};
        sx_buf_clear(&page);
        redis_info_put(&c, sx_str_first(whole, len), 1);
        assert_readable(sx_buf_view(&page));
        for (size_t i = 0; i < whole.len; i++)
            text[i] = i == len ? (char)(0x80 + (len & 0x7f)) : whole.data[i];
        sx_buf_clear(&page);
        redis_info_put(&c, sx_str_of(text, whole.len), 1);
        assert_readable(sx_buf_view(&page));
    }
    sx_buf_done(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_outlive_processes),
        cmocka_unit_test(test_a_child_is_in_its_parents_group),
        cmocka_unit_test(test_processes_beyond_the_groups_are_others),
        cmocka_unit_test(test_without_memory_a_page_of_processes_says_so),
        cmocka_unit_test(test_info_is_told_as_redis_exporter_does),
        cmocka_unit_test(test_any_info_gives_a_page),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
