/* test_collect.c - the host's collector over made-up /proc trees: values, whatever stands in the files,
 * files cut at every byte, no memory. What is written is always an exposition that can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/file.h>

#include "base/fault.h"
#include "observe/collect/collect.h"
#include "observe/scrape/exposition.h"

static const struct {
    const char *path, *text;
} FILES[] = {
    {"stat", "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 100 200 300 400 500 600 700 800 900 1000\n"
             "intr 5 1 2\nctxt 6\nbtime 1700000000\nprocesses 7\nprocs_running 2\n"},
    {"loadavg", "0.50 1.25 2.00 1/100 1234\n"},
    {"meminfo", "MemTotal: 1000 kB\nActive(anon): 3 kB\nHugePages_Total: 4\n"},
    {"vmstat", "pgfault 5\nnr_free_pages 6\noom_kill 7\n"},
    {"diskstats", "8 0 sda 1 2 3 4000 5 6 7 8 9 10 11\n8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n"},
    {"net/dev", "Inter-| Receive\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"},
    {"net/snmp", "Tcp: ActiveOpens InSegs Other\nTcp: 11 12 13\n"},
    {"net/sockstat", "TCP: inuse 5 mem 2\n"},
    {"net/udp", "sl\n 1: 0:0 0:0 07 00000010:00000020 0\n"},
    {"net/softnet_stat", "0000000a 00000001 00000002\n"},
    {"pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"},
    {"sys/fs/file-nr", "100\t0\t200\n"},
    {"interrupts", "      CPU0  CPU1\n 24:  1  2  IO-APIC   5-edge   ACPI:Ged\n"
                   "NMI: 3 4 Non-maskable interrupts\nERR: 5\n"},
    {"schedstat", "version 15\ncpu0 0 0 0 0 0 0 2000000000 1000000000 7\n"},
    {"1/stat", "1 (a (b) c) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1\n"},
    {"7/stat", "7 (x) R 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 1\n"},
    {"7/task/7/stat", "7 (x) R 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 1\n"},
    {"7/task/8/stat", "8 (y) D 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 1\n"},
    {"sys/kernel/pid_max", "4194304\n"},
    {"class/hwmon/hwmon0/name", "coretemp\n"},
    {"class/hwmon/hwmon0/temp1_input", "45000\n"},
    {"class/hwmon/hwmon0/temp1_label", "Package id 0\n"},
    {"class/hwmon/hwmon0/fan2_input", "1200\n"},
    {"class/thermal/thermal_zone0/temp", "36500\n"},
    {"class/thermal/thermal_zone0/type", "acpitz\n"},
    {"class/thermal/cooling_device1/cur_state", "2\n"},
    {"class/thermal/cooling_device1/max_state", "10\n"},
    {"class/thermal/cooling_device1/type", "Processor\n"},
    {"class/power_supply/BAT0/capacity", "93\n"},
    {"class/power_supply/BAT0/voltage_now", "12000000\n"},
    {"class/power_supply/BAT0/status", "Full\n"},
    {"devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n"},
    {"1/mounts", "/dev/x\\040y / ext4 ro,noatime 0 0\nproc /proc proc rw 0 0\n"},
};

typedef struct tree {
    char root[64];
    char path[256];
} tree;

/* Those that hold others come first. */
static const char *const FOLDERS[] = {"net",
                                      "pressure",
                                      "sys",
                                      "sys/fs",
                                      "sys/kernel",
                                      "1",
                                      "7",
                                      "7/task",
                                      "7/task/7",
                                      "7/task/8",
                                      "class",
                                      "class/hwmon",
                                      "class/hwmon/hwmon0",
                                      "class/thermal",
                                      "class/thermal/thermal_zone0",
                                      "class/thermal/cooling_device1",
                                      "class/power_supply",
                                      "class/power_supply/BAT0",
                                      "devices",
                                      "devices/system",
                                      "devices/system/cpu",
                                      "devices/system/cpu/cpu0",
                                      "devices/system/cpu/cpu0/cpufreq"};

static const char *in_tree(tree *t, const char *path)
{
    snprintf(t->path, sizeof t->path, "%s/%s", t->root, path);
    return t->path;
}

static void put(tree *t, const char *path, sx_str text)
{
    sx_error err;
    assert_int_equal(sx_file_replace(in_tree(t, path), text, &err), SX_OK);
}

static int make_tree(void **state)
{
    static tree t;
    sx_error err;
    snprintf(t.root, sizeof t.root, "/tmp/test_collect.XXXXXX");
    assert_non_null(mkdtemp(t.root));
    for (size_t i = 0; i < SX_COUNT_OF(FOLDERS); i++)
        assert_int_equal(sx_folder_make(in_tree(&t, FOLDERS[i]), &err), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++)
        put(&t, FILES[i].path, sx_str_z(FILES[i].text));
    *state = &t;
    return 0;
}

static int remove_tree(void **state)
{
    tree *t = *state;
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++)
        (void)sx_file_remove(in_tree(t, FILES[i].path), &err);
    for (size_t i = 0; i < SX_COUNT_OF(FOLDERS); i++)
        rmdir(in_tree(t, FOLDERS[SX_COUNT_OF(FOLDERS) - 1 - i]));
    rmdir(t->root);
    return 0;
}

static void collect(const tree *t, sx_buf *out)
{
    sx_error err;
    collect_options options = {.proc = t->root, .sys = t->root, .root = ""};
    sx_buf_init(out, 0);
    assert_int_equal(collect_host(&options, out, &err), SX_OK);
}

/* Prometheus's reader takes all of it. */
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
        fail_msg("no line %s", line);
}

static void test_values_are_in_base_units(void **state)
{
    static const char *const LINES[] = {
        "\nnode_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n",
        "\nnode_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 10\n",
        "\nnode_context_switches_total 6\n",
        "\nnode_load5 1.25\n",
        "\nnode_memory_MemTotal_bytes 1024000\n",
        "\nnode_memory_Active_anon_bytes 3072\n",
        "\nnode_memory_HugePages_Total 4\n",
        "\nnode_vmstat_oom_kill 7\n",
        "\nnode_disk_read_bytes_total{device=\"sda\"} 1536\n",
        "\nnode_disk_read_time_seconds_total{device=\"sda\"} 4\n",
        "\nnode_network_transmit_bytes_total{device=\"eth0\"} 9\n",
        "\nnode_netstat_Tcp_InSegs 12\n",
        "\nnode_sockstat_TCP_inuse 5\n",
        "\nnode_udp_queues{ip=\"v4\",queue=\"rx\"} 32\n",
        "\nnode_softnet_processed_total{cpu=\"0\"} 10\n",
        "\nnode_pressure_cpu_waiting_seconds_total 1.5\n",
        "\nnode_filefd_maximum 200\n",
        "\nnode_filesystem_readonly{device=\"/dev/x y\",fstype=\"ext4\",mountpoint=\"/\"} 1\n",
        "\nnode_scrape_collector_success{collector=\"meminfo\"} 1\n",
        "\nnode_scrape_collector_success{collector=\"tcpstat\"} 0\n", /* not this tree's */
        "\nnode_schedstat_running_seconds_total{cpu=\"0\"} 2\n",
        "\nnode_interrupts_total{cpu=\"1\",devices=\"5-edge ACPI:Ged\",info=\"IO-APIC\",type=\"24\"} 2\n",
        "\nnode_interrupts_total{cpu=\"0\",devices=\"\",info=\"Non-maskable interrupts\",type=\"NMI\"} "
        "3\n",
        "\nnode_processes_pids 2\n",
        "\nnode_processes_threads 3\n",
        "\nnode_processes_state{state=\"S\"} 1\n",
        "\nnode_processes_threads_state{thread_state=\"D\"} 1\n",
        "\nnode_processes_max_processes 4194304\n",
        "\nnode_hwmon_temp_celsius{chip=\"coretemp\",sensor=\"temp1\"} 45\n",
        "\nnode_hwmon_fan_rpm{chip=\"coretemp\",sensor=\"fan2\"} 1200\n",
        "\nnode_hwmon_chip_names{chip=\"coretemp\",chip_name=\"coretemp\"} 1\n",
        "\nnode_hwmon_sensor_label{chip=\"coretemp\",label=\"Package id 0\",sensor=\"temp1\"} 1\n",
        "\nnode_thermal_zone_temp{type=\"acpitz\",zone=\"0\"} 36.5\n",
        "\nnode_cooling_device_cur_state{name=\"1\",type=\"Processor\"} 2\n",
        "\nnode_power_supply_capacity{power_supply=\"BAT0\"} 93\n",
        "\nnode_power_supply_voltage_volt{power_supply=\"BAT0\"} 12\n",
        "\nnode_power_supply_info{power_supply=\"BAT0\",status=\"Full\"} 1\n",
        "\nnode_cpu_scaling_frequency_hertz{cpu=\"0\"} 2400000000\n",
    };
    sx_buf page;
    collect(*state, &page);
    for (size_t i = 0; i < SX_COUNT_OF(LINES); i++)
        assert_has(&page, LINES[i]);
    sx_str text = sx_buf_view(&page);
    assert_int_equal(sx_str_find(text, SX_STR("sda1")), text.len);
    assert_int_equal(sx_str_find(text, SX_STR("nr_free_pages")), text.len);
    assert_int_equal(sx_str_find(text, SX_STR("Tcp_Other")), text.len);
    assert_readable(text);
    sx_buf_done(&page);
}

/* The machine's own tables: a connection of ours is among those that it tells of. */
static void test_the_own_machine_tells_of_itself(void **state)
{
    (void)state;
    sx_buf page;
    sx_error err;
    sx_buf_init(&page, 0);
    assert_int_equal(collect_host(NULL, &page, &err), SX_OK);
    assert_readable(sx_buf_view(&page));
    assert_has(&page, "\nprocess_cpu_seconds_total ");
    assert_has(&page, "\nnode_tcp_connection_states{state=\"listen\"} ");
    assert_has(&page, "\nnode_processes_pids ");
    sx_buf_done(&page);
}

static void test_files_cut_at_every_byte_are_read(void **state)
{
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++) {
        sx_str whole = sx_str_z(FILES[i].text);
        for (size_t len = 0; len < whole.len; len += 3) {
            sx_buf page;
            put(*state, FILES[i].path, sx_str_first(whole, len));
            collect(*state, &page);
            assert_readable(sx_buf_view(&page));
            sx_buf_done(&page);
        }
        put(*state, FILES[i].path, whole);
    }
}

static void test_foreign_text_gives_no_broken_page(void **state)
{
    static const char *const TEXTS[] = {"\n\n\n",
                                        ": : :\n:",
                                        "cpu9999999999 x y z a b c d e f g h\n",
                                        "a\"b\\c: 1 2 3 4 5 6\n",
                                        "1 2 \"}\\\n3 4 x{} 5 6 7 8 9 10 11\n",
                                        "some total=\nfull total=zz\n",
                                        "-1 -2 -3 1e999 nan 0x10\n",
                                        "\x01\xff\xfe: \x80 kB\n"};
    for (size_t k = 0; k < SX_COUNT_OF(TEXTS); k++) {
        sx_buf page;
        for (size_t i = 0; i < SX_COUNT_OF(FILES); i++)
            put(*state, FILES[i].path, sx_str_z(TEXTS[k]));
        collect(*state, &page);
        assert_readable(sx_buf_view(&page));
        sx_buf_done(&page);
    }
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++)
        put(*state, FILES[i].path, sx_str_z(FILES[i].text));
}

static void test_without_memory_it_says_so(void **state)
{
    const tree *t = *state;
    collect_options options = {.proc = t->root, .sys = t->root, .root = ""};
    for (unsigned n = 1; n < 40; n++) {
        sx_buf page;
        sx_error err = {0};
        sx_buf_init(&page, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = collect_host(&options, &page, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM);
        sx_buf_done(&page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_in_base_units),
        cmocka_unit_test(test_the_own_machine_tells_of_itself),
        cmocka_unit_test(test_files_cut_at_every_byte_are_read),
        cmocka_unit_test(test_foreign_text_gives_no_broken_page),
        cmocka_unit_test(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
