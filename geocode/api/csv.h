/* csv.h - /search/csv/ and /reverse/csv/: a table goes in, the same with addresses comes out.
 *
 *   POST multipart/form-data
 *     data            the file (of several the first)
 *     columns         a column of the query; as often as wanted, in order; none: all columns
 *     encoding        as Python names it; utf-8-sig if not given
 *     delimiter, quote   one character each; guessed as Addok does if not given
 *     with_bom        one more byte-order mark before UTF-8
 *     min_score       answers below it are none; 0.5 if not given
 *     lat, lon        columns of a point to prefer (/search/csv/ alone)
 *     type, citycode, postcode …   a filter: the column that has its value in each row
 *     better          1: searches are better than Addok's (and each part of it: GEO_BETTER_PARAM), and
 *                     a row whose query is too long gets no answer; else the file is refused (413),
 *                     as Addok does, unless the answer is on its way already
 *     stream          1: rows are answered while the file is still being sent. For clients that read
 *                     while they write; parameters must then stand before the file
 *
 * Parameters may stand in the query string too (columns then also by comma); those of the form win. */
#ifndef SEXTANT_GEOCODE_API_CSV_H
#define SEXTANT_GEOCODE_API_CSV_H

#include <sextant/config.h>
#include <sextant/http.h>

enum { GEO_CSV_UPLOADS_MAX = 16 }; /* at a time: the routes' in_flight_max. Each takes some MB */

/* A part of the service's settings. */
typedef struct geo_csv_settings {
    uint64_t upload_bytes_max, row_bytes_max;
    uint64_t
        bytes_per_second_min; /* slower than that on the average of more than slow_ms_max: 408 */
    uint32_t slow_ms_max;
    sx_str folder;
    uint32_t threads;
} geo_csv_settings;

/* What all uploads of a process share. */
typedef struct geo_csv geo_csv;

/* `settings` is borrowed. Errors: SX_ENOMEM, SX_EIO. */
sx_status geo_csv_new(const geo_csv_settings *settings, geo_csv **out, sx_error *err);

/* Ends its threads: once no loop runs any more, before any is freed. NULL is allowed. */
void geo_csv_stop(geo_csv *csv);

/* After the loops are freed. NULL is allowed. */
void geo_csv_free(geo_csv *csv);

/* The handlers, of routes with SX_ROUTE_STREAM. They find the geo_api in their loop's scratch; `ctx`
 * is not used. */
void geo_api_search_csv(sx_request *r, void *ctx);
void geo_api_reverse_csv(sx_request *r, void *ctx);

#endif
