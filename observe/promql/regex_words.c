/* regex_words.c - errors of regular expressions as Prometheus words them.
 *
 * Prometheus compiles with Go's regexp, we with RE2: both find the same errors and quote the same
 * part of the expression, under other names. Source: the error codes of Go's regexp/syntax. */
#include "observe/promql/parser.h"

typedef struct phrase {
    sx_str re2, go;
} phrase;

/* The longer first where one begins another. */
static const phrase PHRASES[] = {
    {SX_STR_INIT("invalid escape sequence"), SX_STR_INIT("invalid escape sequence")},
    {SX_STR_INIT("invalid character class range"), SX_STR_INIT("invalid character class range")},
    {SX_STR_INIT("invalid character class"), SX_STR_INIT("invalid character class")},
    {SX_STR_INIT("missing ]"), SX_STR_INIT("missing closing ]")},
    {SX_STR_INIT("missing )"), SX_STR_INIT("missing closing )")},
    {SX_STR_INIT("unexpected )"), SX_STR_INIT("unexpected )")},
    {SX_STR_INIT("trailing \\"), SX_STR_INIT("trailing backslash at end of expression")},
    {SX_STR_INIT("no argument for repetition operator"),
     SX_STR_INIT("missing argument to repetition operator")},
    {SX_STR_INIT("invalid repetition size"), SX_STR_INIT("invalid repeat count")},
    {SX_STR_INIT("bad repetition operator"), SX_STR_INIT("invalid nested repetition operator")},
    {SX_STR_INIT("invalid perl operator"), SX_STR_INIT("invalid or unsupported Perl syntax")},
    {SX_STR_INIT("invalid named capture group"), SX_STR_INIT("invalid named capture")},
    {SX_STR_INIT("invalid UTF-8"), SX_STR_INIT("invalid UTF-8")},
};

/* RE2's message without what sx_regex_new() puts before it: the pattern, perhaps cut. */
static sx_str without_pattern(sx_str message, sx_str pattern)
{
    static const sx_str before = SX_STR_INIT("regular expression '");
    if (!sx_str_starts(message, before))
        return message;
    sx_str rest = sx_str_from(message, before.len);
    if (sx_str_starts(rest, pattern))
        rest = sx_str_from(rest, pattern.len);
    size_t at = sx_str_find(rest, SX_STR("': "));
    return at == rest.len ? message : sx_str_from(rest, at + 3);
}

void promql_regex_fail(promql_parser *p, promql_pos pos, sx_str pattern, const sx_error *why)
{
    sx_str message = without_pattern(sx_str_z(why->message), pattern);
    for (size_t i = 0; i < SX_COUNT_OF(PHRASES); i++) {
        if (!sx_str_starts(message, PHRASES[i].re2))
            continue;
        sx_str part = sx_str_from(message, PHRASES[i].re2.len);
        if (sx_str_starts(part, SX_STR(": ")))
            part = sx_str_from(part, 2);
        promql_parse_fail(p, pos, "error parsing regexp: %.*s: `%.*s`", SX_ARG(PHRASES[i].go),
                          SX_ARG(part));
        return;
    }
    promql_parse_fail(p, pos, "error parsing regexp: %.*s", SX_ARG(message));
}
