/* exposition_dump.h - everything that a body says, a line an entry, for comparisons. */
#ifndef TESTS_OBSERVE_SCRAPE_EXPOSITION_DUMP_H
#define TESTS_OBSERVE_SCRAPE_EXPOSITION_DUMP_H

#include "observe/scrape/exposition.h"

/* Appends to `out`; with `expected` not empty it is expected before every entry. The error with which
 * the body ends, if it does. */
sx_status exposition_dump(sx_str body, const prom_exposition_options *options, sx_str expected,
                          sx_buf *out, sx_error *err);

#endif
