/* csv_sniff.h - guesses how a CSV file is written, the way Addok does, odd guesses and all.
 *
 * Addok asks Python's csv.Sniffer; what it answers to a given text is the rule here, found by asking
 * it (tests compare with it). In short: if quoted fields are found next to delimiters, the most
 * frequent such character is the delimiter; else characters that stand equally often in (nearly) every
 * line are candidates, comma, tab, semicolon, blank and colon preferred. Line ends are CR LF to it,
 * so that a file without a delimiter is found to be delimited by CR. Addok then takes a letter, a
 * digit or CR for "not found" and goes on with semicolons. */
#ifndef SEXTANT_GEOCODE_API_CSV_SNIFF_H
#define SEXTANT_GEOCODE_API_CSV_SNIFF_H

#include "geocode/api/csv_read.h"

enum { GEO_CSV_SAMPLE_BYTES = 1 << 20 };

/* What the sniffer itself says. */
typedef struct geo_csv_guess {
    bool found;
    uint32_t delimiter, quote; /* characters */
    bool skip_space;
} geo_csv_guess;

/* Guesses from `text`: UTF-8 with line ends of CR LF. Time: linear. */
void geo_csv_sniff(sx_str text, geo_csv_guess *out);

/* The dialect that Addok would use for a file that begins with `sample` (UTF-8, any line ends).
 * SX_OK; SX_ENOMEM. */
sx_status geo_csv_dialect_of(sx_str sample, geo_csv_dialect *out);

/* The dialect of Excel: comma, double quote. */
extern const geo_csv_dialect GEO_CSV_EXCEL;

#endif
