/* csv_form.h - the parameters of an upload, from the form and the query string. */
#ifndef SEXTANT_GEOCODE_API_CSV_FORM_H
#define SEXTANT_GEOCODE_API_CSV_FORM_H

#include <sextant/multipart.h>

#include "geocode/api/csv_rows.h"
#include "geocode/api/params.h"

enum { GEO_CSV_FIELDS_MAX = 256, GEO_CSV_FIELD_BYTES_MAX = 64 << 10 };

/* Names and values as they came, in order. All in one arena. */
typedef struct geo_csv_form {
    sx_str names[GEO_CSV_FIELDS_MAX], values[GEO_CSV_FIELDS_MAX];
    size_t count, bytes;
} geo_csv_form;

/* Adds a field; both texts are copied, broken UTF-8 mended. SX_OK; SX_ELIMIT above the bounds here;
 * SX_ENOMEM. */
sx_status geo_csv_form_add(geo_csv_form *form, sx_arena *arena, sx_str name, sx_str value);

/* Adds what the query string (still encoded) has under names that the form has not. The same errors. */
sx_status geo_csv_form_query(geo_csv_form *form, sx_arena *arena, sx_str query);

/* Whether a field is given and says yes. */
bool geo_csv_form_yes(const geo_csv_form *form, sx_str name);

/* Reads the options; `filters` are the names of filters, NULL after the last, and outlive them.
 * SX_OK; SX_EINVAL with *refusal filled; SX_ENOMEM. */
sx_status geo_csv_form_read(const geo_csv_form *form, sx_arena *arena, const char *const *filters,
                            geo_csv_options *out, geo_refusal *refusal);

#endif
