/* thread.h - which stripe of the metrics and which lane of the logs a thread owns.
 *
 * The number is claimed from one bitmap for the whole process, so that two loops of two services in
 * one program never write the same stripe. It is the one thread-local of the room: it names the
 * thread's own memory and nothing of a request, so it cannot leak from one request to another. */
#ifndef SEXTANT_TELEMETRY_THREAD_H
#define SEXTANT_TELEMETRY_THREAD_H

#include <sextant/metrics.h>

/* 0 for threads that have not joined; else 1 to SX_THREAD_SHARDS_MAX. */
extern __thread unsigned sx_thread_shard __attribute__((tls_model("initial-exec")));

/* One more than the highest shard that was ever in use: readers need look no further. Its acquire
 * load pairs with the release in join. */
unsigned sx_thread_shards_used(void);

#endif
