/* regex.h - regular expressions in RE2's syntax, which is Go's: matching takes linear time.
 *
 * Most patterns that operators write are no real expressions: a literal, a|b|c, foo.*, .*foo.*. They
 * are recognised when compiled and matched by comparing bytes; RE2 sees the rest. Differences from
 * Go's regexp package: `.` matches a newline unless told otherwise (as Prometheus, which wraps every
 * pattern in ^(?s:...)$), and a subject that is not valid UTF-8 matches no `.` on its bad bytes when
 * RE2 does the work. A compiled expression may be used by any number of threads. */
#ifndef SEXTANT_REGEX_H
#define SEXTANT_REGEX_H

#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_regex sx_regex;

enum {
    SX_REGEX_CASELESS = 1,    /* as (?i) */
    SX_REGEX_DOT_NO_LINE = 2, /* `.` stops at a newline, as Go and RE2 by default */
    SX_REGEX_CAPTURES = 4,    /* sx_regex_capture and what builds on it will be called */
    SX_REGEX_FULL_ONLY = 8,   /* sx_regex_search will not: saves memory for long alternations */
};

typedef struct sx_regex_options {
    unsigned flags;
    size_t memory_max;        /* bytes for RE2's program and automata; 0: 8 MiB */
    size_t pattern_bytes_max; /* 0: 1 MiB */
} sx_regex_options;

/* Compiles `pattern` (copied). `options` NULL: all zero.
 *   errors  SX_EFORMAT, with the pattern and what is wrong in it; SX_ELIMIT if the pattern is too
 *           long or its program needs more than memory_max; SX_ENOMEM
 * Source of the syntax: RE2's doc/syntax.txt; (?<name>...) is accepted as Go does since 1.22. */
sx_status sx_regex_new(sx_regex **out, sx_str pattern, const sx_regex_options *options,
                       sx_error *err);

/* Frees it; NULL is allowed. No thread may use it any more. */
void sx_regex_free(sx_regex *re);

/* The pattern as it was given; lives as long as `re`. */
sx_str sx_regex_pattern(const sx_regex *re);

/* Whether all of `subject` matches. HOT: 5 ns for a literal. */
bool sx_regex_match(const sx_regex *re, sx_str subject);

/* Whether some part of `subject` matches. */
bool sx_regex_search(const sx_regex *re, sx_str subject);

/* The literals that are all the subjects the expression matches in full, if it is so simple and has
 * no more than it lists: NULL and *count 0 if not. They live as long as `re`, in the pattern's order.
 * An index looks them up instead of trying every value. */
const sx_str *sx_regex_literals(const sx_regex *re, size_t *count);

/* A beginning that every full match has; often empty. Lives as long as `re`. */
sx_str sx_regex_prefix(const sx_regex *re);

/* How many groups there are, group 0 (the whole match) not counted; the number of the group with
 * that name, -1 if there is none. With SX_REGEX_CAPTURES. */
size_t sx_regex_group_count(const sx_regex *re);
int sx_regex_group_index(const sx_regex *re, sx_str name);

/* Where a match begins looking and how far it must reach. */
typedef enum sx_regex_anchor { SX_REGEX_WHOLE, SX_REGEX_ANYWHERE } sx_regex_anchor;

enum { SX_REGEX_GROUPS_MAX = 64 };

/* The leftmost match of `subject` and its groups: groups[0] is the match, groups[i] group i, views
 * into `subject`; a group that took no part has data NULL. Entries from `count` (at most
 * SX_REGEX_GROUPS_MAX) on are not told, entries beyond the last group have data NULL. False, groups
 * untouched, if nothing matches. With SX_REGEX_CAPTURES. */
bool sx_regex_capture(const sx_regex *re, sx_str subject, sx_regex_anchor anchor, sx_str *groups,
                      size_t count);

/* Appends `text` with $1, $name, ${1} and ${name} replaced by groups of a match, $$ by $, as Go's
 * Regexp.Expand: a name runs as far as letters, digits and _ do; an unknown one is empty; a $ that
 * begins none stays. */
void sx_regex_expand(const sx_regex *re, sx_str text, const sx_str *groups, size_t count,
                     sx_buf *out);

/* Appends `subject` with every match replaced by the expansion of `text`, as Go's ReplaceAllString.
 * Returns how many were replaced. With SX_REGEX_CAPTURES. */
size_t sx_regex_replace_all(const sx_regex *re, sx_str subject, sx_str text, sx_buf *out);

SX_END_DECLS

#endif
