/* regex_plan.h - the patterns that are matched by comparing bytes.
 *
 * A plan stands for:  ^? dots? (literal | literal | ...) dots? $?     where dots is .* or .+
 * It says whether a subject matches; groups are RE2's business. */
#ifndef SEXTANT_BASE_REGEX_PLAN_H
#define SEXTANT_BASE_REGEX_PLAN_H

#include <sextant/arena.h>
#include <sextant/map.h>

typedef enum sx_regex_dots { SX_DOTS_NONE, SX_DOTS_STAR, SX_DOTS_PLUS } sx_regex_dots;

typedef struct sx_regex_plan {
    bool is_fast; /* else nothing below means anything */
    bool begins;  /* ^ */
    bool ends;    /* $ */
    sx_regex_dots lead, trail;
    sx_str *literals; /* in the arena; at least one, perhaps empty */
    size_t count;
    uint64_t lengths; /* bit min(len, 63) of each literal's length */
    bool has_set;     /* literals are in `set` too: many */
    sx_map set;       /* in the arena; read-only once made */
} sx_regex_plan;

/* More alternatives than this are looked up in a set; in a search, or with dots, RE2 is faster. */
enum { SX_REGEX_LOOP_MAX = 16 };

/* Reads `pattern`, valid UTF-8. `dots_are_all`: `.` matches a newline too; otherwise a pattern with
 * dots is not fast. SX_ENOMEM is the only failure. */
bool sx_regex_plan_make(sx_regex_plan *plan, sx_str pattern, bool dots_are_all, sx_arena *arena);

/* Whether all (some part) of `subject` matches; only of a fast plan. */
bool sx_regex_plan_match(const sx_regex_plan *plan, sx_str subject);
bool sx_regex_plan_search(const sx_regex_plan *plan, sx_str subject);

#endif
