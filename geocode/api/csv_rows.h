/* csv_rows.h - what a batch asks of each row, and how a row is answered.
 *
 * The header decides once which columns are asked, filtered and overwritten (geo_csv_plan); then each
 * row is answered by itself, on any thread. A row that has no answer, or whose numbers are none, keeps
 * its columns and gets empty ones: it never fails the file. */
#ifndef SEXTANT_GEOCODE_API_CSV_ROWS_H
#define SEXTANT_GEOCODE_API_CSV_ROWS_H

#include <sextant/arena.h>

#include "geocode/api/csv_read.h"
#include "geocode/api/csv_text.h"
#include "geocode/search/search.h"

enum { GEO_CSV_FILTERS_MAX = 8 };

typedef enum geo_csv_kind { GEO_CSV_SEARCH, GEO_CSV_REVERSE } geo_csv_kind;

/* What is asked for. Views must live as long as whatever they are given to. */
typedef struct geo_csv_options {
    geo_csv_kind kind;
    const sx_str *columns; /* whose texts, in this order, are the query */
    size_t column_count;   /* 0: all */
    sx_str encoding;       /* as Python names it; data NULL: "utf-8-sig" */
    sx_str delimiter;      /* one character; empty: guessed */
    sx_str quote;          /* one character; empty: the dialect's own */
    bool with_bom;         /* one more mark, before UTF-8 */
    bool has_min_score;
    double min_score;         /* answers below it are none; if not given 0.5, as in Addok */
    sx_str lat, lon;          /* columns of a point to prefer; empty: none */
    const char **filter_keys; /* a filter, and the column that has its value in each row */
    const sx_str *filter_columns;
    size_t filter_count; /* at most GEO_CSV_FILTERS_MAX */
    uint32_t better;     /* geo_better */
    bool strict; /* columns of filters and of the point must be there, too; Addok goes without */
    bool keep_going;      /* no row fails the batch: one that is too long has no answer */
    size_t row_bytes_max; /* of one row; 0: 1 MiB */
} geo_csv_options;

/* The column that a name stands for: of several the last, as in Addok. */
enum { GEO_CSV_NO_COLUMN = -1 };

typedef struct geo_csv_plan {
    const geo_csv_options *options;
    geo_csv_dialect dialect;
    geo_csv_charset charset;
    size_t header_count; /* columns of the file */
    ptrdiff_t *source;   /* of each, where its text is taken from */
    ptrdiff_t *result;   /* of each, the result that overwrites it; GEO_CSV_NO_COLUMN */
    ptrdiff_t *query;    /* columns of the query */
    size_t query_count;
    ptrdiff_t *extra; /* results that get columns of their own */
    size_t extra_count;
    ptrdiff_t lat, lon, filters[GEO_CSV_FILTERS_MAX];
    sx_str refusal; /* Addok's words, whole, if a column is not there */
} geo_csv_plan;

/* Plans by the header, the only row in `header`, and appends the header's row of the answer to `out`,
 * in UTF-8. What is planned lives in `arena`. SX_OK; SX_EINVAL for a column that is not there: then
 * out->refusal says so; SX_ENOMEM. */
sx_status geo_csv_plan_make(sx_arena *arena, const geo_csv_options *options,
                            const geo_csv_dialect *dialect, const geo_csv_charset *charset,
                            const geo_csv_rows *header, geo_csv_plan *out, sx_buf *answer,
                            sx_error *err);

/* What a thread needs to answer rows. */
typedef struct geo_csv_worker {
    bool keep_going; /* a row whose query is too long has no answer; else it is refused */
    geo_searcher *searcher;
    geo_results results;
    sx_buf query;
} geo_csv_worker;

/* NULL if there is no memory. */
geo_csv_worker *geo_csv_worker_new(sx_error *err);
void geo_csv_worker_free(geo_csv_worker *w);

/* Answers one row: appends it, in UTF-8. SX_OK; SX_ELIMIT with Addok's words if its query is too long
 * and the worker refuses that; SX_ECORRUPT if the index is damaged. */
sx_status geo_csv_answer(const geo_csv_plan *plan, const geo_index *index, geo_csv_worker *w,
                         const geo_csv_rows *rows, const geo_csv_row *row, sx_buf *out,
                         sx_error *err);

#endif
