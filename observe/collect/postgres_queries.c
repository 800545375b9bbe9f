/* postgres_queries.c - what a PostgreSQL server is asked: one table, the columns named for what they are.
 *
 * A column "l:NAME" is a label, "c:NAME" a counter and "g:NAME" a gauge called PREFIX_NAME; NULL leaves
 * a sample out. A row of the table is a collector of postgres_exporter, whose names these are, and runs
 * on the versions named. Statistics of tables are those of the database that the conninfo names.
 * pg_stat_bgwriter's counters go by both names that the exporter has given them, with _total and
 * without: dashboards use either. Source: PostgreSQL documentation, "Monitoring Database Activity". */
#include "observe/collect/postgres.h"

#define BOTH(column) column " AS \"c:" column "_total\", " column " AS \"c:" column "\""

/* Where the log is: written here, or on a replica replayed. */
#define WAL_HERE                                                                                   \
    "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)"

const collect_pg_query COLLECT_PG_QUERIES[] = {
    {"postmaster", "pg_postmaster", 0, 0,
     "SELECT extract(epoch FROM pg_postmaster_start_time()) AS \"g:start_time_seconds\""},
    {"database", "pg_database", 0, 0,
     "SELECT datname AS \"l:datname\", CASE WHEN has_database_privilege(oid, 'CONNECT') THEN "
     "pg_database_size(oid) END AS \"g:size_bytes\", "
     "datconnlimit AS \"g:connection_limit\" FROM pg_database WHERE NOT datistemplate"},
    {"database_wraparound", "pg_database_wraparound", 0, 0,
     "SELECT datname AS \"l:datname\", age(datfrozenxid) AS \"g:age_datfrozenxid_seconds\", "
     "mxid_age(datminmxid) AS \"g:age_datminmxid_seconds\" FROM pg_database WHERE datallowconn"},
    {"locks", "pg_locks", 0, 0,
     "SELECT d.datname AS \"l:datname\", m.mode AS \"l:mode\", count(l.locktype) AS \"g:count\" "
     "FROM pg_database d CROSS JOIN unnest(ARRAY['accesssharelock', 'rowsharelock', "
     "'rowexclusivelock', 'shareupdateexclusivelock', 'sharelock', 'sharerowexclusivelock', "
     "'exclusivelock', 'accessexclusivelock', 'sireadlock']) AS m(mode) LEFT JOIN pg_locks l ON "
     "l.database = d.oid AND lower(l.mode) = m.mode GROUP BY 1, 2 ORDER BY 1, 2"},
    {"long_running_transactions", "pg_long_running_transactions", 0, 0,
     "SELECT count(*) AS \"g:\", max(extract(epoch FROM clock_timestamp() - xact_start)) AS "
     "\"g:oldest_timestamp_seconds\" FROM pg_stat_activity WHERE state IS DISTINCT FROM 'idle' AND "
     "query NOT LIKE 'autovacuum:%' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"},
    {"replication", "pg_replication", 0, 0,
     "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = "
     "pg_last_wal_replay_lsn() THEN 0 ELSE greatest(0, extract(epoch FROM now() - "
     "pg_last_xact_replay_timestamp())) END AS \"g:lag_seconds\", pg_is_in_recovery()::int AS "
     "\"g:is_replica\", greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) AS "
     "\"g:last_replay_seconds\""},
    /* The name that the exporter gave it before. */
    {"replication_lag", "pg_replication", 0, 0,
     "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = "
     "pg_last_wal_replay_lsn() THEN 0 ELSE greatest(0, extract(epoch FROM now() - "
     "pg_last_xact_replay_timestamp())) END AS \"g:lag\""},
    {"replication_slot", "pg_replication_slot", 0, 0,
     "SELECT slot_name AS \"l:slot_name\", slot_type AS \"l:slot_type\", " WAL_HERE
     " - '0/0' AS \"g:slot_current_wal_lsn\", coalesce(confirmed_flush_lsn, '0/0') - '0/0' AS "
     "\"g:slot_confirmed_flush_lsn\", active::int AS \"g:slot_is_active\" FROM "
     "pg_replication_slots"},
    {"replication_slot_wal", "pg_replication_slot", 130000, 0,
     "SELECT slot_name AS \"l:slot_name\", slot_type AS \"l:slot_type\", safe_wal_size AS "
     "\"g:safe_wal_size_bytes\" FROM pg_replication_slots"},
    {"replication_slots", "pg_replication_slots", 0, 0,
     "SELECT slot_name AS \"l:slot_name\", coalesce(database, '') AS \"l:database\", active::int AS "
     "\"g:active\", pg_wal_lsn_diff(" WAL_HERE ", restart_lsn) AS \"g:pg_wal_lsn_diff\" FROM "
     "pg_replication_slots"},
    {"roles", "pg_roles", 0, 0,
     "SELECT rolname AS \"l:rolname\", rolconnlimit AS \"g:connection_limit\" FROM pg_roles"},
    {"stat_activity", "pg_stat_activity", 100000, 0,
     "SELECT d.datname AS \"l:datname\", s.state AS \"l:state\", coalesce(a.usename, '') AS "
     "\"l:usename\", coalesce(a.application_name, '') AS \"l:application_name\", "
     "coalesce(a.backend_type, '') AS \"l:backend_type\", coalesce(a.wait_event_type, '') AS "
     "\"l:wait_event_type\", coalesce(a.wait_event, '') AS \"l:wait_event\", count(a.pid) AS "
     "\"g:count\", coalesce(max(extract(epoch FROM now() - a.xact_start)), 0) AS "
     "\"g:max_tx_duration\" FROM pg_database d CROSS JOIN unnest(ARRAY['active', 'idle', 'idle in "
     "transaction', 'idle in transaction (aborted)', 'fastpath function call', 'disabled']) AS "
     "s(state) LEFT JOIN pg_stat_activity a ON a.datname = d.datname AND a.state = s.state AND "
     "a.pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2 LIMIT 5000"},
    {"stat_archiver", "pg_stat_archiver", 0, 0,
     "SELECT archived_count AS \"c:archived_count\", failed_count AS \"c:failed_count\", "
     "extract(epoch FROM now() - last_archived_time) AS \"g:last_archive_age\" FROM "
     "pg_stat_archiver"},
    {"stat_bgwriter", "pg_stat_bgwriter", 0, 170000,
     "SELECT " BOTH("checkpoints_timed") ", " BOTH("checkpoints_req") ", " BOTH("checkpoint_write_time") ", " BOTH("checkpoint_sync_time") ", " BOTH("buffers_checkpoint") ", " BOTH(
         "buffers_clean") ", " BOTH("maxwritten_clean") ", " BOTH("buffers_backend") ", " BOTH("buffers_backend_fsync") ", " BOTH("buffers_alloc") ", extract(epoch FROM stats_reset) AS \"c:stats_reset_total\" FROM pg_stat_bgwriter"},
    {"stat_bgwriter", "pg_stat_bgwriter", 170000, 0,
     "SELECT " BOTH("buffers_clean") ", " BOTH("maxwritten_clean") ", " BOTH(
         "buffers_alloc") ", extract(epoch FROM stats_reset) AS \"c:stats_reset_total\" FROM "
                          "pg_stat_bgwriter"},
    {"stat_checkpointer", "pg_stat_checkpointer", 170000, 0,
     "SELECT num_timed AS \"c:num_timed_total\", num_requested AS \"c:num_requested_total\", "
     "restartpoints_timed AS \"c:restartpoints_timed_total\", restartpoints_req AS "
     "\"c:restartpoints_req_total\", restartpoints_done AS \"c:restartpoints_done_total\", "
     "write_time AS \"c:write_time_total\", sync_time AS \"c:sync_time_total\", buffers_written AS "
     "\"c:buffers_written_total\", extract(epoch FROM stats_reset) AS \"c:stats_reset_total\" FROM "
     "pg_stat_checkpointer"},
    {"stat_database", "pg_stat_database", 0, 0,
     "SELECT datid AS \"l:datid\", datname AS \"l:datname\", numbackends AS \"g:numbackends\", "
     "xact_commit AS \"c:xact_commit\", xact_rollback AS \"c:xact_rollback\", blks_read AS "
     "\"c:blks_read\", blks_hit AS \"c:blks_hit\", tup_returned AS \"c:tup_returned\", tup_fetched "
     "AS \"c:tup_fetched\", tup_inserted AS \"c:tup_inserted\", tup_updated AS \"c:tup_updated\", "
     "tup_deleted AS \"c:tup_deleted\", conflicts AS \"c:conflicts\", temp_files AS "
     "\"c:temp_files\", temp_bytes AS \"c:temp_bytes\", deadlocks AS \"c:deadlocks\", "
     "blk_read_time AS \"c:blk_read_time\", blk_write_time AS \"c:blk_write_time\", coalesce("
     "extract(epoch FROM stats_reset), 0) AS \"c:stats_reset\" FROM pg_stat_database WHERE datname "
     "IS NOT NULL"},
    {"stat_database_time", "pg_stat_database", 140000, 0,
     "SELECT datid AS \"l:datid\", datname AS \"l:datname\", active_time / 1000 AS "
     "\"c:active_time_seconds_total\" FROM pg_stat_database WHERE datname IS NOT NULL"},
    {"stat_database_conflicts", "pg_stat_database_conflicts", 0, 0,
     "SELECT datid AS \"l:datid\", datname AS \"l:datname\", confl_tablespace AS "
     "\"c:confl_tablespace\", confl_lock AS \"c:confl_lock\", confl_snapshot AS "
     "\"c:confl_snapshot\", confl_bufferpin AS \"c:confl_bufferpin\", confl_deadlock AS "
     "\"c:confl_deadlock\" FROM pg_stat_database_conflicts"},
    {"stat_replication", "pg_stat_replication", 0, 0,
     "SELECT application_name AS \"l:application_name\", coalesce(client_addr::text, '') AS "
     "\"l:client_addr\", state AS \"l:state\", coalesce(s.slot_name, '') AS \"l:slot_name\", r.pid "
     "AS \"l:pid\", " WAL_HERE
     " - '0/0' AS \"g:pg_current_wal_lsn_bytes\", pg_wal_lsn_diff(" WAL_HERE
     ", replay_lsn) AS \"g:pg_wal_lsn_diff\" FROM pg_stat_replication r LEFT JOIN "
     "pg_replication_slots s ON s.active_pid = r.pid"},
    {"stat_user_tables", "pg_stat_user_tables", 0, 0,
     "SELECT current_database() AS \"l:datname\", schemaname AS \"l:schemaname\", relname AS "
     "\"l:relname\", seq_scan AS \"c:seq_scan\", seq_tup_read AS \"c:seq_tup_read\", "
     "coalesce(idx_scan, 0) AS \"c:idx_scan\", coalesce(idx_tup_fetch, 0) AS \"c:idx_tup_fetch\", "
     "n_tup_ins AS \"c:n_tup_ins\", n_tup_upd AS \"c:n_tup_upd\", n_tup_del AS \"c:n_tup_del\", "
     "n_tup_hot_upd AS \"c:n_tup_hot_upd\", n_live_tup AS \"g:n_live_tup\", n_dead_tup AS "
     "\"g:n_dead_tup\", n_mod_since_analyze AS \"g:n_mod_since_analyze\", coalesce(extract(epoch "
     "FROM last_vacuum), 0) AS \"g:last_vacuum\", coalesce(extract(epoch FROM last_autovacuum), 0) "
     "AS \"g:last_autovacuum\", coalesce(extract(epoch FROM last_analyze), 0) AS "
     "\"g:last_analyze\", coalesce(extract(epoch FROM last_autoanalyze), 0) AS "
     "\"g:last_autoanalyze\", vacuum_count AS \"c:vacuum_count\", autovacuum_count AS "
     "\"c:autovacuum_count\", analyze_count AS \"c:analyze_count\", autoanalyze_count AS "
     "\"c:autoanalyze_count\", pg_indexes_size(relid) AS \"g:index_size_bytes\", "
     "pg_table_size(relid) AS \"g:table_size_bytes\" FROM pg_stat_user_tables ORDER BY relid LIMIT "
     "2000"},
    {"statio_user_tables", "pg_statio_user_tables", 0, 0,
     "SELECT current_database() AS \"l:datname\", schemaname AS \"l:schemaname\", relname AS "
     "\"l:relname\", heap_blks_read AS \"c:heap_blocks_read\", heap_blks_hit AS "
     "\"c:heap_blocks_hit\", idx_blks_read AS \"c:idx_blocks_read\", idx_blks_hit AS "
     "\"c:idx_blocks_hit\", toast_blks_read AS \"c:toast_blocks_read\", toast_blks_hit AS "
     "\"c:toast_blocks_hit\", tidx_blks_read AS \"c:tidx_blocks_read\", tidx_blks_hit AS "
     "\"c:tidx_blocks_hit\" FROM pg_statio_user_tables ORDER BY relid LIMIT 2000"},
    {"statio_user_indexes", "pg_statio_user_indexes", 0, 0,
     "SELECT schemaname AS \"l:schemaname\", relname AS \"l:relname\", indexrelname AS "
     "\"l:indexrelname\", idx_blks_read AS \"c:idx_blks_read_total\", idx_blks_hit AS "
     "\"c:idx_blks_hit_total\" FROM pg_statio_user_indexes ORDER BY indexrelid LIMIT 2000"},
    /* These two want pg_monitor. */
    {"wal", "pg_wal", 0, 0,
     "SELECT count(*) AS \"g:segments\", sum(size) AS \"g:size_bytes\" FROM pg_ls_waldir()"},
    {"stat_wal_receiver", "pg_stat_walreceiver", 130000, 0,
     "SELECT sender_host AS \"l:upstream_host\", coalesce(slot_name, '') AS \"l:slot_name\", status "
     "AS \"l:status\", receive_start_lsn - '0/0' AS \"c:receive_start_lsn\", receive_start_tli AS "
     "\"g:receive_start_tli\", flushed_lsn - '0/0' AS \"c:flushed_lsn\", received_tli AS "
     "\"g:received_tli\", extract(epoch FROM last_msg_send_time) AS \"c:last_msg_send_time\", "
     "extract(epoch FROM last_msg_receipt_time) AS \"c:last_msg_receipt_time\", latest_end_lsn - "
     "'0/0' AS \"c:latest_end_lsn\", extract(epoch FROM latest_end_time) AS "
     "\"c:latest_end_time\" FROM pg_stat_wal_receiver"},
};

const size_t COLLECT_PG_QUERY_COUNT = SX_COUNT_OF(COLLECT_PG_QUERIES);
