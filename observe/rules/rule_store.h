/* rule_store.h - samples in memory: what unit tests of rules run over.
 *
 * A queryable and an appendable in one. Samples of a series come in order of time; one that is older
 * than the newest, or has its time and another value, is refused as the database does. Nothing is ever
 * dropped: it lives as long as one test. Any thread. */
#ifndef OBSERVE_RULES_RULE_STORE_H
#define OBSERVE_RULES_RULE_STORE_H

#include "observe/tsdb/storage.h"

typedef struct rule_store rule_store;

sx_status rule_store_new(rule_store **out, sx_error *err);
void rule_store_free(rule_store *s);
tsdb_queryable *rule_store_queryable(rule_store *s);
tsdb_appendable *rule_store_appendable(rule_store *s);

#endif
