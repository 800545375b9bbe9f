/* exposition_text.h - what the files of the text reader share: positions, names, strings, samples. */
#ifndef OBSERVE_SCRAPE_EXPOSITION_TEXT_H
#define OBSERVE_SCRAPE_EXPOSITION_TEXT_H

#include "observe/scrape/exposition_internal.h"

enum { EXPO_QUOTED_BYTES = 160 }; /* of the target's text in a message */
enum { EXPO_COLON = 4 };          /* expo_read_name: names of metrics have colons, too */

/* --- Where we are. */

/* The byte here; -1: the end. */
static inline int expo_peek(const prom_exposition *x)
{
    return x->at < x->body.len ? (unsigned char)x->body.data[x->at] : -1;
}

static inline sx_str expo_between(const prom_exposition *x, uint32_t from, uint32_t to)
{
    return sx_str_of(x->body.data + from, to - from);
}

static inline void expo_skip_blanks(prom_exposition *x)
{
    while (x->at < x->body.len && (x->body.data[x->at] == ' ' || x->body.data[x->at] == '\t'))
        x->at++;
}

/* Blanks between the parts of a line: OpenMetrics has none inside braces. */
static inline void expo_skip_inner_blanks(prom_exposition *x)
{
    if (!x->open_metrics)
        expo_skip_blanks(x);
}

/* --- exposition_text.c */

/* The line of a position, from 1. */
unsigned expo_line_of(const prom_exposition *x, uint32_t at);

/* "expected label name, got "x" ("INVALID") while parsing: "a{x" (line 3)". */
SX_COLD sx_status expo_fail_token(prom_exposition *x, sx_error *err, const char *expected);

/* A plain name; `colon` is EXPO_COLON or 0. False: there is none. */
bool expo_read_name(prom_exposition *x, unsigned colon);

/* A quoted string; the position is then behind it. */
bool expo_read_string(prom_exposition *x, bool newlines);

/* Undoes \\, \" and \n; `text` itself where there is none. NULL data: no memory. */
sx_str expo_unescape(sx_str text, bool quotes, sx_arena *arena);

/* A series from its first byte to behind it, taken apart into x->parts. */
sx_status expo_read_series(prom_exposition *x, sx_error *err);

/* A whole sample line. */
sx_status expo_read_sample(prom_exposition *x, prom_entry *out, sx_error *err);

/* --- exposition_metadata.c: a line that begins with a number sign. SX_AGAIN: a comment, go on. */
sx_status expo_read_comment(prom_exposition *x, prom_entry *out, sx_error *err);

/* --- exposition_start.c */

/* Whether series of that type have start times. */
bool expo_has_start(expo_type t);

/* The series just taken apart is a _created one. */
bool expo_is_created(const prom_exposition *x);

/* The hash of its labels without le or quantile. */
uint64_t expo_start_key(const prom_exposition *x);

/* Takes the last series apart if it was only compared. */
sx_status expo_split_series(prom_exposition *x, sx_error *err);

/* Looks ahead within the family for the _created line of the series just read. */
sx_status expo_find_start(prom_exposition *x, prom_entry *out, sx_error *err);

#endif
