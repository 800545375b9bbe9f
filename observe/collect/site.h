/* site.h - what the collectors may look at: targets by name, groups of processes. Internal to the room.
 *
 * Settings are read-only once published and counted: a reload swaps them under a collector that goes on
 * with the old ones. */
#ifndef OBSERVE_COLLECT_SITE_H
#define OBSERVE_COLLECT_SITE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/arena.h>
#include <sextant/regex.h>

#include "codec/template.h"
#include "observe/collect/collect.h"
#include "observe/config/config.h"

enum { COLLECT_TARGETS_MAX = 1000, COLLECT_RULES_MAX = 1000 };

/* A Redis or PostgreSQL server. */
typedef struct collect_target {
    sx_str name, address; /* address: URL, HOST:PORT or conninfo, as given */
    sx_str username;      /* Redis alone */
    prom_secret password;
} collect_target;

/* A row of process_names, in process-exporter's form. */
typedef struct process_rule {
    sx_str name; /* a template of Go's; empty: {{.ExeBase}} */
    const sx_str *comm, *exe, *cmdline;
    uint32_t comm_count, exe_count, cmdline_count;
} process_rule;

typedef struct process_compiled {
    sx_template *template; /* of the name */
    sx_regex **regexes;    /* of cmdline */
} process_compiled;

typedef struct collect_settings {
    _Atomic uint32_t refs;
    uint64_t number; /* of the reload that read it: tells settings apart */
    sx_arena arena;
    const process_rule *rules;
    process_compiled *compiled; /* a row for each rule */
    uint32_t rule_count;
    bool threads, children, smaps;
    const collect_target *redis, *postgres;
    uint32_t redis_count, postgres_count;
} collect_settings;

typedef struct process_state process_state; /* process_groups.c */

struct collect_site {
    const collect_site_options *options;
    pthread_mutex_t lock; /* of settings and reloads */
    uint64_t reloads;
    collect_settings *settings; /* one reference */
    process_state *processes;
};

/* A reference to the settings in force, to be given back. */
collect_settings *collect_settings_get(collect_site *s);
void collect_settings_unref(collect_settings *c);

/* The target of that name or address. Errors: SX_ENOTFOUND: `what` ("Redis server") and the names there
 * are. */
sx_status collect_target_find(const collect_target *targets, uint32_t count, const char *what,
                              sx_str name, const collect_target **out, sx_error *err);

/* Errors: SX_ENOMEM. */
sx_status process_state_new(process_state **out, sx_error *err);
void process_state_free(process_state *p);

#endif
