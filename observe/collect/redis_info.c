/* redis_info.c - what INFO says, as metrics: one table of its fields, and the sections of many rows.
 *
 * A field that a version does not have is left out, one that the table does not know is skipped. Source:
 * Redis, INFO (versions 5 to 7.4); redis_exporter, names of metrics. */
#include <stdio.h>

#include <sextant/clock.h>

#include "observe/collect/redis_info.h"

static const struct field {
    const char *key, *name;
    bool counter;
} FIELDS[] = {
    {"uptime_in_seconds", "redis_uptime_in_seconds", false},
    {"process_id", "redis_process_id", false},
    {"io_threads_active", "redis_io_threads_active", false},
    {"connected_clients", "redis_connected_clients", false},
    {"blocked_clients", "redis_blocked_clients", false},
    {"maxclients", "redis_max_clients", false},
    {"tracking_clients", "redis_tracking_clients", false},
    {"clients_in_timeout_table", "redis_clients_in_timeout_table", false},
    {"pubsub_clients", "redis_pubsub_clients", false},
    {"watching_clients", "redis_watching_clients", false},
    {"total_watched_keys", "redis_total_watched_keys", false},
    {"total_blocking_keys", "redis_total_blocking_keys", false},
    {"total_blocking_keys_on_nokey", "redis_total_blocking_keys_on_nokey", false},
    {"client_longest_output_list", "redis_client_longest_output_list", false},
    {"client_biggest_input_buf", "redis_client_biggest_input_buf", false},
    {"client_recent_max_output_buffer", "redis_client_recent_max_output_buffer_bytes", false},
    {"client_recent_max_input_buffer", "redis_client_recent_max_input_buffer_bytes", false},
    {"allocator_active", "redis_allocator_active_bytes", false},
    {"allocator_allocated", "redis_allocator_allocated_bytes", false},
    {"allocator_resident", "redis_allocator_resident_bytes", false},
    {"allocator_frag_ratio", "redis_allocator_frag_ratio", false},
    {"allocator_frag_bytes", "redis_allocator_frag_bytes", false},
    {"allocator_muzzy", "redis_allocator_muzzy_bytes", false},
    {"allocator_rss_ratio", "redis_allocator_rss_ratio", false},
    {"allocator_rss_bytes", "redis_allocator_rss_bytes", false},
    {"used_memory", "redis_memory_used_bytes", false},
    {"used_memory_rss", "redis_memory_used_rss_bytes", false},
    {"used_memory_peak", "redis_memory_used_peak_bytes", false},
    {"used_memory_lua", "redis_memory_used_lua_bytes", false},
    {"used_memory_vm_eval", "redis_memory_used_vm_eval_bytes", false},
    {"used_memory_scripts_eval", "redis_memory_used_scripts_eval_bytes", false},
    {"used_memory_overhead", "redis_memory_used_overhead_bytes", false},
    {"used_memory_startup", "redis_memory_used_startup_bytes", false},
    {"used_memory_dataset", "redis_memory_used_dataset_bytes", false},
    {"number_of_cached_scripts", "redis_number_of_cached_scripts", false},
    {"number_of_functions", "redis_number_of_functions", false},
    {"number_of_libraries", "redis_number_of_libraries", false},
    {"used_memory_vm_functions", "redis_memory_used_vm_functions_bytes", false},
    {"used_memory_scripts", "redis_memory_used_scripts_bytes", false},
    {"used_memory_functions", "redis_memory_used_functions_bytes", false},
    {"used_memory_vm_total", "redis_memory_used_vm_total", false},
    {"maxmemory", "redis_memory_max_bytes", false},
    {"mem_fragmentation_ratio", "redis_mem_fragmentation_ratio", false},
    {"mem_fragmentation_bytes", "redis_mem_fragmentation_bytes", false},
    {"mem_clients_slaves", "redis_mem_clients_slaves", false},
    {"mem_clients_normal", "redis_mem_clients_normal", false},
    {"mem_cluster_links", "redis_mem_cluster_links_bytes", false},
    {"mem_aof_buffer", "redis_mem_aof_buffer_bytes", false},
    {"mem_replication_backlog", "redis_mem_replication_backlog_bytes", false},
    {"expired_stale_perc", "redis_expired_stale_percentage", false},
    {"mem_not_counted_for_evict", "redis_mem_not_counted_for_eviction_bytes", false},
    {"mem_total_replication_buffers", "redis_mem_total_replication_buffers_bytes", false},
    {"mem_overhead_db_hashtable_rehashing", "redis_mem_overhead_db_hashtable_rehashing_bytes",
     false},
    {"lazyfree_pending_objects", "redis_lazyfree_pending_objects", false},
    {"lazyfreed_objects", "redis_lazyfreed_objects", false},
    {"active_defrag_running", "redis_active_defrag_running", false},
    {"migrate_cached_sockets", "redis_migrate_cached_sockets_total", false},
    {"active_defrag_hits", "redis_defrag_hits", false},
    {"active_defrag_misses", "redis_defrag_misses", false},
    {"active_defrag_key_hits", "redis_defrag_key_hits", false},
    {"active_defrag_key_misses", "redis_defrag_key_misses", false},
    {"loading", "redis_loading_dump_file", false},
    {"async_loading", "redis_async_loading", false},
    {"rdb_changes_since_last_save", "redis_rdb_changes_since_last_save", false},
    {"rdb_bgsave_in_progress", "redis_rdb_bgsave_in_progress", false},
    {"rdb_last_save_time", "redis_rdb_last_save_timestamp_seconds", false},
    {"rdb_last_bgsave_status", "redis_rdb_last_bgsave_status", false},
    {"rdb_last_bgsave_time_sec", "redis_rdb_last_bgsave_duration_sec", false},
    {"rdb_current_bgsave_time_sec", "redis_rdb_current_bgsave_duration_sec", false},
    {"rdb_saves", "redis_rdb_saves_total", false},
    {"rdb_last_cow_size", "redis_rdb_last_cow_size_bytes", false},
    {"rdb_last_load_keys_expired", "redis_rdb_last_load_expired_keys", false},
    {"rdb_last_load_keys_loaded", "redis_rdb_last_load_loaded_keys", false},
    {"aof_enabled", "redis_aof_enabled", false},
    {"aof_rewrite_in_progress", "redis_aof_rewrite_in_progress", false},
    {"aof_rewrite_scheduled", "redis_aof_rewrite_scheduled", false},
    {"aof_last_rewrite_time_sec", "redis_aof_last_rewrite_duration_sec", false},
    {"aof_current_rewrite_time_sec", "redis_aof_current_rewrite_duration_sec", false},
    {"aof_last_cow_size", "redis_aof_last_cow_size_bytes", false},
    {"aof_current_size", "redis_aof_current_size_bytes", false},
    {"aof_base_size", "redis_aof_base_size_bytes", false},
    {"aof_pending_rewrite", "redis_aof_pending_rewrite", false},
    {"aof_buffer_length", "redis_aof_buffer_length", false},
    {"aof_rewrite_buffer_length", "redis_aof_rewrite_buffer_length", false},
    {"aof_pending_bio_fsync", "redis_aof_pending_bio_fsync", false},
    {"aof_delayed_fsync", "redis_aof_delayed_fsync", false},
    {"aof_last_bgrewrite_status", "redis_aof_last_bgrewrite_status", false},
    {"aof_last_write_status", "redis_aof_last_write_status", false},
    {"module_fork_in_progress", "redis_module_fork_in_progress", false},
    {"module_fork_last_cow_size", "redis_module_fork_last_cow_size", false},
    {"current_eviction_exceeded_time", "redis_current_eviction_exceeded_time_ms", false},
    {"pubsub_channels", "redis_pubsub_channels", false},
    {"pubsub_patterns", "redis_pubsub_patterns", false},
    {"pubsubshard_channels", "redis_pubsubshard_channels", false},
    {"latest_fork_usec", "redis_latest_fork_usec", false},
    {"tracking_total_keys", "redis_tracking_total_keys", false},
    {"tracking_total_items", "redis_tracking_total_items", false},
    {"tracking_total_prefixes", "redis_tracking_total_prefixes", false},
    {"instantaneous_eventloop_cycles_per_sec", "redis_instantaneous_eventloop_cycles_per_sec",
     false},
    {"instantaneous_eventloop_duration_usec", "redis_instantaneous_eventloop_duration_usec", false},
    {"connected_slaves", "redis_connected_slaves", false},
    {"repl_backlog_size", "redis_replication_backlog_bytes", false},
    {"repl_backlog_active", "redis_repl_backlog_is_active", false},
    {"repl_backlog_first_byte_offset", "redis_repl_backlog_first_byte_offset", false},
    {"repl_backlog_histlen", "redis_repl_backlog_history_bytes", false},
    {"master_repl_offset", "redis_master_repl_offset", false},
    {"second_repl_offset", "redis_second_repl_offset", false},
    {"slave_expires_tracked_keys", "redis_slave_expires_tracked_keys", false},
    {"slave_priority", "redis_slave_priority", false},
    {"sync_full", "redis_replica_resyncs_full", false},
    {"sync_partial_ok", "redis_replica_partial_resync_accepted", false},
    {"sync_partial_err", "redis_replica_partial_resync_denied", false},
    {"total_connections_received", "redis_connections_received_total", true},
    {"total_commands_processed", "redis_commands_processed_total", true},
    {"rejected_connections", "redis_rejected_connections_total", true},
    {"total_net_input_bytes", "redis_net_input_bytes_total", true},
    {"total_net_output_bytes", "redis_net_output_bytes_total", true},
    {"total_net_repl_input_bytes", "redis_net_repl_input_bytes_total", true},
    {"total_net_repl_output_bytes", "redis_net_repl_output_bytes_total", true},
    {"expired_subkeys", "redis_expired_subkeys_total", true},
    {"expired_keys", "redis_expired_keys_total", true},
    {"expired_time_cap_reached_count", "redis_expired_time_cap_reached_total", true},
    {"expire_cycle_cpu_milliseconds", "redis_expire_cycle_cpu_time_ms_total", true},
    {"evicted_keys", "redis_evicted_keys_total", true},
    {"evicted_clients", "redis_evicted_clients_total", true},
    {"evicted_scripts", "redis_evicted_scripts_total", true},
    {"total_eviction_exceeded_time", "redis_eviction_exceeded_time_ms_total", true},
    {"keyspace_hits", "redis_keyspace_hits_total", true},
    {"keyspace_misses", "redis_keyspace_misses_total", true},
    {"eventloop_cycles", "redis_eventloop_cycles_total", true},
    {"eventloop_duration_sum", "redis_eventloop_duration_sum_usec_total", true},
    {"eventloop_duration_cmd_sum", "redis_eventloop_duration_cmd_sum_usec_total", true},
    {"used_cpu_sys", "redis_cpu_sys_seconds_total", true},
    {"used_cpu_user", "redis_cpu_user_seconds_total", true},
    {"used_cpu_sys_children", "redis_cpu_sys_children_seconds_total", true},
    {"used_cpu_user_children", "redis_cpu_user_children_seconds_total", true},
    {"used_cpu_sys_main_thread", "redis_cpu_sys_main_thread_seconds_total", true},
    {"used_cpu_user_main_thread", "redis_cpu_user_main_thread_seconds_total", true},
    {"unexpected_error_replies", "redis_unexpected_error_replies", true},
    {"total_error_replies", "redis_total_error_replies", true},
    {"dump_payload_sanitizations", "redis_dump_payload_sanitizations", true},
    {"total_reads_processed", "redis_total_reads_processed", true},
    {"total_writes_processed", "redis_total_writes_processed", true},
    {"io_threaded_reads_processed", "redis_io_threaded_reads_processed", true},
    {"io_threaded_writes_processed", "redis_io_threaded_writes_processed", true},
    {"client_query_buffer_limit_disconnections",
     "redis_client_query_buffer_limit_disconnections_total", true},
    {"client_output_buffer_limit_disconnections",
     "redis_client_output_buffer_limit_disconnections_total", true},
    {"reply_buffer_shrinks", "redis_reply_buffer_shrinks_total", true},
    {"reply_buffer_expands", "redis_reply_buffer_expands_total", true},
    {"acl_access_denied_auth", "redis_acl_access_denied_auth_total", true},
    {"acl_access_denied_cmd", "redis_acl_access_denied_cmd_total", true},
    {"acl_access_denied_key", "redis_acl_access_denied_key_total", true},
    {"acl_access_denied_channel", "redis_acl_access_denied_channel_total", true},
    {"used_active_time_main_thread", "redis_active_time_main_thread_seconds_total", true},
};

/* A number, or a word that stands for one. False: neither. */
static bool number_of(sx_str text, double *out)
{
    static const struct {
        const char *word;
        double value;
    } WORDS[] = {{"ok", 1}, {"up", 1}, {"err", 0}, {"fail", 0}, {"down", 0}};
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (sx_str_eq(text, sx_str_z(WORDS[i].word))) {
            *out = WORDS[i].value;
            return true;
        }
    }
    if (text.len && text.data[text.len - 1] == '%')
        text.len--;
    *out = collect_number(text);
    return text.len && ((text.data[0] >= '0' && text.data[0] <= '9') || text.data[0] == '-');
}

/* The next "key:value" line. */
static bool next_line(sx_str *rest, sx_str *key, sx_str *value)
{
    sx_str line;
    while (collect_line(rest, &line)) {
        line = sx_str_trim_all(line); /* lines end with \r\n */
        if (line.len && line.data[0] != '#' && sx_str_cut(line, ':', key, value))
            return true;
    }
    return false;
}

sx_str redis_info_get(sx_str info, const char *wanted)
{
    sx_str key, value;
    while (next_line(&info, &key, &value))
        if (sx_str_eq(key, sx_str_z(wanted)))
            return value;
    return SX_STR("");
}

/* The value of NAME in "a=1,b=2". False if there is none. */
static bool part_of(sx_str list, const char *name, sx_str *out)
{
    sx_str one, key;
    while (list.len) {
        sx_str_cut(list, ',', &one, &list);
        if (sx_str_cut(one, '=', &key, out) && sx_str_eq(key, sx_str_z(name)))
            return true;
    }
    return false;
}

static void put_fields(collector *c, sx_str info)
{
    sx_str key, value;
    double number;
    bool done[SX_COUNT_OF(FIELDS)] = {false}; /* a field may stand in two sections */
    while (next_line(&info, &key, &value)) {
        for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
            if (done[i] || !sx_str_eq(key, sx_str_z(FIELDS[i].key)) || !number_of(value, &number))
                continue;
            collect_one(c, FIELDS[i].name, FIELDS[i].counter ? "counter" : "gauge", "As INFO says.",
                        number);
            done[i] = true;
        }
    }
}

/* ---- sections with a row for each command, error or database ---- */

typedef struct section_row {
    const char *prefix; /* of the field; the rest is the label's value */
    const char *part, *name, *label, *help;
    double scale;
    bool counter, keep_prefix;
} section_row;

static const section_row SECTIONS[] = {
    {"cmdstat_", "calls", "redis_commands_total", "cmd", "Calls of a command.", 1, true, false},
    {"cmdstat_", "usec", "redis_commands_duration_seconds_total", "cmd",
     "Time that a command has taken.", 1e-6, true, false},
    {"cmdstat_", "rejected_calls", "redis_commands_rejected_calls_total", "cmd",
     "Calls that were refused before they ran.", 1, true, false},
    {"cmdstat_", "failed_calls", "redis_commands_failed_calls_total", "cmd",
     "Calls that failed while they ran.", 1, true, false},
    {"errorstat_", "count", "redis_errors_total", "err", "Error replies by kind.", 1, true, false},
    {"db", "avg_ttl", "redis_db_avg_ttl_seconds", "db", "Mean time to live of a database's keys.",
     1e-3, false, true},
};

/* "db0", but not "db_size" or the like. */
static bool is_row(sx_str key, const section_row *row)
{
    size_t len = sx_str_z(row->prefix).len;
    if (!sx_str_starts(key, sx_str_z(row->prefix)) || key.len == len)
        return false;
    return !row->keep_prefix || (key.data[len] >= '0' && key.data[len] <= '9');
}

static void put_section(collector *c, sx_str info, const section_row *row)
{
    sx_str key, value, text;
    bool begun = false;
    while (next_line(&info, &key, &value)) {
        if (!is_row(key, row) || !part_of(value, row->part, &text))
            continue;
        if (!begun)
            collect_family(c, row->name, row->counter ? "counter" : "gauge", row->help);
        begun = true;
        if (!row->keep_prefix)
            key = sx_str_from(key, sx_str_z(row->prefix).len);
        collect_sample(c, row->name, &(collect_label){row->label, key}, 1,
                       collect_number(text) * row->scale);
    }
}

/* Databases without a key are not in INFO, and are told as 0. */
static void put_databases(collector *c, sx_str info, uint32_t count)
{
    static const char *const PARTS[][3] = {
        {"keys", "redis_db_keys", "Keys of a database."},
        {"expires", "redis_db_keys_expiring", "Its keys that have a time to live."}};
    char name[16];
    sx_str text;
    for (size_t k = 0; k < SX_COUNT_OF(PARTS); k++) {
        collect_family(c, PARTS[k][1], "gauge", PARTS[k][2]);
        for (uint32_t i = 0; i < count; i++) {
            snprintf(name, sizeof name, "db%u", i);
            bool has = part_of(redis_info_get(info, name), PARTS[k][0], &text);
            collect_sample(c, PARTS[k][1], &(collect_label){"db", sx_str_z(name)}, 1,
                           has ? collect_number(text) : 0);
        }
    }
}

/* latency_percentiles_usec_get:p50=1.003,p99=2.007 */
static void put_percentiles(collector *c, sx_str info)
{
    static const char *const NAME = "redis_latency_percentiles_usec";
    static const sx_str PREFIX = SX_STR_INIT("latency_percentiles_usec_");
    sx_str key, value, one, which, number;
    bool begun = false;
    while (next_line(&info, &key, &value)) {
        if (!sx_str_starts(key, PREFIX))
            continue;
        if (!begun)
            collect_family(c, NAME, "gauge", "Percentiles of a command's times.");
        begun = true;
        while (value.len) {
            sx_str_cut(value, ',', &one, &value);
            if (!sx_str_cut(one, '=', &which, &number) || which.len < 2)
                continue;
            const collect_label labels[] = {{"cmd", sx_str_from(key, PREFIX.len)},
                                            {"quantile", sx_str_from(which, 1)}};
            collect_sample(c, NAME, labels, 2, collect_number(number));
        }
    }
}

/* ---- replication ---- */

static void put_slaves(collector *c, sx_str whole)
{
    static const char *const PARTS[][3] = {
        {"offset", "redis_connected_slave_offset_bytes", "How far a replica has come."},
        {"lag", "redis_connected_slave_lag_seconds", "Seconds since a replica was heard of."}};
    for (size_t k = 0; k < SX_COUNT_OF(PARTS); k++) {
        sx_str info = whole, key, value, ip, port, state, number;
        bool begun = false;
        while (next_line(&info, &key, &value)) {
            if (!sx_str_starts(key, SX_STR("slave")) || key.len < 6 || key.data[5] < '0' ||
                key.data[5] > '9' || !part_of(value, "ip", &ip) || !part_of(value, "port", &port) ||
                !part_of(value, "state", &state) || !part_of(value, PARTS[k][0], &number))
                continue;
            if (!begun)
                collect_family(c, PARTS[k][1], "gauge", PARTS[k][2]);
            begun = true;
            const collect_label labels[] = {
                {"slave_ip", ip}, {"slave_port", port}, {"slave_state", state}};
            collect_sample(c, PARTS[k][1], labels, 3, collect_number(number));
        }
    }
}

/* What a replica says of its master. */
static void put_master(collector *c, sx_str info)
{
    static const char *const KEYS[][3] = {
        {"master_link_status", "redis_master_link_up", "Whether the master is connected."},
        {"master_last_io_seconds_ago", "redis_master_last_io_seconds_ago",
         "Seconds since the master was heard of."},
        {"master_sync_in_progress", "redis_master_sync_in_progress",
         "Whether all is copied from the master."},
        {"slave_repl_offset", "redis_slave_repl_offset", "How far this replica has come."}};
    double number;
    sx_str host = redis_info_get(info, "master_host");
    if (!host.len)
        return;
    const collect_label labels[] = {{"master_host", host},
                                    {"master_port", redis_info_get(info, "master_port")},
                                    {"read_only", redis_info_get(info, "slave_read_only")}};
    collect_family(c, "redis_slave_info", "gauge", "Whose replica this is.");
    collect_sample(c, "redis_slave_info", labels, 3, 1);
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++) {
        if (!number_of(redis_info_get(info, KEYS[i][0]), &number))
            continue;
        collect_family(c, KEYS[i][1], "gauge", KEYS[i][2]);
        collect_sample(c, KEYS[i][1], labels, 2, number);
    }
}

static void put_instance(collector *c, sx_str info)
{
    static const char *const KEYS[] = {
        "role",     "redis_version", "redis_build_id", "redis_mode",   "os", "maxmemory_policy",
        "tcp_port", "run_id",        "process_id",     "master_replid"};
    collect_label labels[SX_COUNT_OF(KEYS)];
    double up;
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++)
        labels[i] = (collect_label){KEYS[i], redis_info_get(info, KEYS[i])};
    collect_family(c, "redis_instance_info", "gauge", "What this instance is.");
    collect_sample(c, "redis_instance_info", labels, SX_COUNT_OF(labels), 1);
    if (number_of(redis_info_get(info, "uptime_in_seconds"), &up))
        collect_one(c, "redis_start_time_seconds", "gauge", "When it began, unix time.",
                    (double)(sx_clock_ns(sx_clock_system()) / 1000000000) - up);
}

void redis_info_put(collector *c, sx_str info, uint32_t databases)
{
    put_instance(c, info);
    put_fields(c, info);
    put_databases(c, info, databases);
    for (size_t i = 0; i < SX_COUNT_OF(SECTIONS); i++)
        put_section(c, info, &SECTIONS[i]);
    put_percentiles(c, info);
    put_slaves(c, info);
    put_master(c, info);
}
