/* store_fixture.h - a database in a temporary folder, and all that is in it as text. */
#ifndef TESTS_OBSERVE_SCRAPE_STORE_FIXTURE_H
#define TESTS_OBSERVE_SCRAPE_STORE_FIXTURE_H

#include "observe/tsdb/db.h"
#include "tests/unit/base/temp_folder.h"

typedef struct store_fixture {
    temp_folder folder;
    tsdb *db;
} store_fixture;

void store_open(store_fixture *f, const sx_clock *clock);
void store_close(store_fixture *f);

/* Series whose names match `names` (a regular expression), sorted, a line each:
 *   up{job="x"} 1@0 stale@15000
 * times relative to `base`; histograms as {count:...}. scrape_duration_seconds is left out. */
void store_dump(store_fixture *f, const char *names, int64_t base, sx_buf *out);

#endif
