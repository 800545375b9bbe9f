/* postgres.h - the questions to a PostgreSQL server. Internal to the room. */
#ifndef OBSERVE_COLLECT_POSTGRES_H
#define OBSERVE_COLLECT_POSTGRES_H

#include "observe/collect/collect_internal.h"

typedef struct collect_pg_query {
    const char *collector; /* in pg_scrape_collector_success */
    const char *prefix;    /* of the metrics' names */
    uint32_t from, below;  /* server_version_num; below 0: any */
    const char *sql;       /* columns by kind: postgres_queries.c */
} collect_pg_query;

extern const collect_pg_query COLLECT_PG_QUERIES[];
extern const size_t COLLECT_PG_QUERY_COUNT;

#endif
