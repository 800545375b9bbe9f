/* regex.c - the expression: a plan of simple comparisons if there is one, RE2 otherwise.
 *
 * RE2 is compiled when the plan cannot answer all that may be asked: the pattern is not simple,
 * groups are wanted, or a long alternation will be searched for. */
#include <sextant/regex.h>

#include <sextant/arena.h>
#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "base/regex_plan.h"
#include "base/regex_shim.h"

enum { PATTERN_SHOWN_MAX = 200 };

static const size_t PATTERN_BYTES_MAX = 1 << 20;
static const size_t MEMORY_MAX = 8 << 20;

struct sx_regex {
    sx_arena arena; /* of all that the expression points to */
    sx_str pattern;
    unsigned flags;
    sx_regex_plan plan;
    sx_re2 *re2;       /* NULL if the plan does for everything */
    sx_str prefix;     /* of every full match */
    bool takes_groups; /* (.*) or (.+): the one group is the subject, relabelling's default */
};

/* Length of what stands at the head of `rest` and must be copied as it is: a \Q...\E, an escaped
 * character, a [class]; else one byte. */
static size_t opaque_len(sx_str rest)
{
    if (sx_str_starts(rest, SX_STR("\\Q")))
        return sx_str_find(rest, SX_STR("\\E"));
    if (rest.data[0] == '\\')
        return rest.len < 2 ? rest.len : 2;
    if (rest.data[0] != '[')
        return 1;
    size_t at = 1;
    at += at < rest.len && rest.data[at] == '^';
    at += at < rest.len && rest.data[at] == ']'; /* standing first it is a member */
    while (at < rest.len && rest.data[at] != ']') {
        sx_str inside = sx_str_from(rest, at);
        if (sx_str_starts(inside, SX_STR("[:")))
            at += sx_str_find(inside, SX_STR(":]")) + 2;
        else
            at += rest.data[at] == '\\' ? 2 : 1;
    }
    return at < rest.len ? at + 1 : rest.len;
}

/* Copies the pattern with (?<name> written as (?P<name>, which is all that RE2 of Debian knows. */
static sx_str spell_names(sx_arena *arena, sx_str p)
{
    char *out = sx_arena_alloc(arena, p.len + p.len / 3 + 1); /* one byte more for each "(?<" */
    size_t len = 0;
    if (!out)
        return sx_str_of(NULL, 0);
    while (p.len) {
        sx_str part = sx_str_first(p, opaque_len(p));
        memcpy(out + len, part.data, part.len);
        len += part.len;
        bool is_look_behind = p.len > 3 && (p.data[3] == '=' || p.data[3] == '!');
        p = sx_str_from(p, part.len);
        if (part.data[0] == '(' && sx_str_starts(p, SX_STR("?<")) && !is_look_behind) {
            memcpy(out + len, "?P<", 3);
            len += 3;
            p = sx_str_from(p, 2);
        }
    }
    return sx_str_of(out, len);
}

static sx_status compile_re2(sx_regex *re, const sx_regex_options *options, sx_error *err)
{
    sx_str pattern = re->pattern;
    if (sx_str_find(pattern, SX_STR("(?<")) < pattern.len)
        pattern = spell_names(&re->arena, pattern);
    if (!pattern.data)
        return sx_fail_memory(err, "a regular expression");
    const sx_re2_options wanted = {
        .memory_max = (int64_t)(options->memory_max ? options->memory_max : MEMORY_MAX),
        .caseless = options->flags & SX_REGEX_CASELESS,
        .dot_matches_line = !(options->flags & SX_REGEX_DOT_NO_LINE),
        .captures = options->flags & SX_REGEX_CAPTURES,
    };
    sx_re2_fault fault;
    char message[256] = "";
    re->re2 = sx_re2_new(pattern, &wanted, &fault, message, sizeof(message));
    if (re->re2)
        return SX_OK;
    sx_str shown = sx_utf8_first(re->pattern, PATTERN_SHOWN_MAX);
    if (fault == SX_RE2_MEMORY)
        return sx_fail_memory(err, "a regular expression");
    if (fault == SX_RE2_TOO_BIG)
        return sx_fail(err, SX_ELIMIT, "regular expression '%.*s' needs more than %zu bytes",
                       SX_ARG(shown), (size_t)wanted.memory_max);
    return sx_fail(err, SX_EFORMAT, "regular expression '%.*s': %s", SX_ARG(shown), message);
}

static void find_prefix(sx_regex *re)
{
    const sx_regex_plan *plan = &re->plan;
    re->prefix = SX_STR("");
    if (plan->is_fast && plan->lead == SX_DOTS_NONE && plan->count == 1)
        re->prefix = plan->literals[0];
}

static sx_status compile(sx_regex *re, sx_str pattern, const sx_regex_options *options,
                         sx_error *err)
{
    re->pattern = sx_arena_copy(&re->arena, pattern);
    if (!re->pattern.data)
        return sx_fail_memory(err, "a regular expression");
    size_t valid = sx_utf8_valid_len(re->pattern);
    if (valid != pattern.len)
        return sx_fail(err, SX_EFORMAT, "regular expression is not UTF-8 at byte %zu", valid);
    re->flags = options->flags;
    bool caseless = options->flags & SX_REGEX_CASELESS;
    bool dots_are_all = !(options->flags & SX_REGEX_DOT_NO_LINE);
    if (!caseless && !sx_regex_plan_make(&re->plan, re->pattern, dots_are_all, &re->arena))
        return sx_fail_memory(err, "a regular expression");
    find_prefix(re);
    re->takes_groups = dots_are_all && (sx_str_eq(re->pattern, SX_STR("(.*)")) ||
                                        sx_str_eq(re->pattern, SX_STR("(.+)")));
    bool long_search = re->plan.has_set && !(options->flags & SX_REGEX_FULL_ONLY);
    if (re->plan.is_fast && !long_search && !(options->flags & SX_REGEX_CAPTURES))
        return SX_OK;
    return compile_re2(re, options, err);
}

sx_status sx_regex_new(sx_regex **out, sx_str pattern, const sx_regex_options *options,
                       sx_error *err)
{
    static const sx_regex_options NO_OPTIONS = {0};
    if (!options)
        options = &NO_OPTIONS;
    size_t bytes_max = options->pattern_bytes_max ? options->pattern_bytes_max : PATTERN_BYTES_MAX;
    if (pattern.len > bytes_max)
        return sx_fail(err, SX_ELIMIT,
                       "regular expression '%.*s...' is longer than the limit of %zu bytes",
                       SX_ARG(sx_utf8_first(pattern, 40)), bytes_max);
    sx_regex *re = sx_calloc(1, sizeof(*re));
    if (!re)
        return sx_fail_memory(err, "a regular expression");
    sx_arena_init(&re->arena, 512, 0);
    sx_status status = compile(re, pattern, options, err);
    if (status != SX_OK) {
        sx_regex_free(re);
        return status;
    }
    *out = re;
    return SX_OK;
}

void sx_regex_free(sx_regex *re)
{
    if (!re)
        return;
    sx_re2_free(re->re2);
    sx_arena_done(&re->arena);
    sx_free(re);
}

sx_str sx_regex_pattern(const sx_regex *re)
{
    return re->pattern;
}

bool sx_regex_match(const sx_regex *re, sx_str subject)
{
    if (sx_likely(re->plan.is_fast))
        return sx_regex_plan_match(&re->plan, subject);
    return sx_re2_match(re->re2, subject, 0, true, NULL, 0);
}

bool sx_regex_search(const sx_regex *re, sx_str subject)
{
    sx_assert(!(re->flags & SX_REGEX_FULL_ONLY));
    if (sx_likely(re->plan.is_fast) && !re->plan.has_set)
        return sx_regex_plan_search(&re->plan, subject);
    return sx_re2_match(re->re2, subject, 0, false, NULL, 0);
}

const sx_str *sx_regex_literals(const sx_regex *re, size_t *count)
{
    const sx_regex_plan *plan = &re->plan;
    bool exact = plan->is_fast && plan->lead == SX_DOTS_NONE && plan->trail == SX_DOTS_NONE;
    *count = exact ? plan->count : 0;
    return exact ? plan->literals : NULL;
}

sx_str sx_regex_prefix(const sx_regex *re)
{
    return re->prefix;
}

size_t sx_regex_group_count(const sx_regex *re)
{
    sx_assert(re->flags & SX_REGEX_CAPTURES);
    return sx_re2_group_count(re->re2);
}

int sx_regex_group_index(const sx_regex *re, sx_str name)
{
    sx_assert(re->flags & SX_REGEX_CAPTURES);
    return sx_re2_group_index(re->re2, name);
}

bool sx_regex_capture(const sx_regex *re, sx_str subject, sx_regex_anchor anchor, sx_str *groups,
                      size_t count)
{
    sx_assert((re->flags & SX_REGEX_CAPTURES) && count <= SX_REGEX_GROUPS_MAX);
    if (!subject.data)
        subject.data = ""; /* so that an empty group is told from one that took no part */
    if (anchor == SX_REGEX_WHOLE && re->plan.is_fast) {
        if (!sx_regex_plan_match(&re->plan, subject))
            return false;
        if (re->takes_groups) {
            for (size_t i = 0; i < count; i++)
                groups[i] = i < 2 ? subject : sx_str_of(NULL, 0);
            return true;
        }
    }
    return sx_re2_match(re->re2, subject, 0, anchor == SX_REGEX_WHOLE, groups, count);
}

/* Go asks Unicode whether a character is a letter or digit. Here: ASCII's, _ , and of the rest all
 * but the blocks that hold punctuation and symbols only. */
static bool is_name_char(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_';
    if (c < 0xc0)
        return c == 0xaa || c == 0xb5 || c == 0xba;
    return c != 0xd7 && c != 0xf7 && !(c >= 0x2000 && c <= 0x206f) &&
           !(c >= 0x20a0 && c <= 0x20cf) && !(c >= 0x2190 && c <= 0x2bff) &&
           !(c >= 0x3000 && c <= 0x3004) && !(c >= 0x3008 && c <= 0x3020) && c < 0x1f000;
}

static size_t name_len(sx_str text)
{
    size_t len = 0;
    uint32_t code;
    for (size_t n; (n = sx_utf8_decode(sx_str_from(text, len), &code)) > 0; len += n) {
        if (!is_name_char(code))
            break;
    }
    return len;
}

/* Reads the reference after a '$'; returns the bytes it takes, 0 if it is none. */
static size_t read_reference(sx_str text, sx_str *name)
{
    bool braced = text.len && text.data[0] == '{';
    sx_str rest = braced ? sx_str_from(text, 1) : text;
    size_t len = name_len(rest);
    *name = sx_str_first(rest, len);
    if (len == 0)
        return 0;
    if (!braced)
        return len;
    return len < rest.len && rest.data[len] == '}' ? len + 2 : 0;
}

/* The group that a reference names; an empty view if there is none. */
static sx_str find_group(const sx_regex *re, sx_str name, const sx_str *groups, size_t count)
{
    uint64_t index;
    bool is_number = sx_str_to_u64(name, &index) && !(name.len > 1 && name.data[0] == '0');
    if (!is_number) {
        int named = re->re2 ? sx_re2_group_index(re->re2, name) : -1;
        if (named < 0)
            return SX_STR("");
        index = (uint64_t)named;
    }
    return index < count ? groups[index] : SX_STR("");
}

void sx_regex_expand(const sx_regex *re, sx_str text, const sx_str *groups, size_t count,
                     sx_buf *out)
{
    sx_str before, after, name;
    while (sx_str_cut(text, '$', &before, &after)) {
        sx_buf_str(out, before);
        text = after;
        if (text.len && text.data[0] == '$') {
            sx_buf_byte(out, '$');
            text = sx_str_from(text, 1);
            continue;
        }
        size_t used = read_reference(text, &name);
        if (used)
            sx_buf_str(out, find_group(re, name, groups, count));
        else
            sx_buf_byte(out, '$');
        text = sx_str_from(text, used);
    }
    sx_buf_str(out, text);
}

size_t sx_regex_replace_all(const sx_regex *re, sx_str subject, sx_str text, sx_buf *out)
{
    sx_assert(re->flags & SX_REGEX_CAPTURES);
    if (!subject.data)
        subject.data = "";
    sx_str groups[SX_REGEX_GROUPS_MAX];
    size_t count = sx_re2_group_count(re->re2) + 1, replaced = 0;
    if (count > SX_REGEX_GROUPS_MAX)
        count = SX_REGEX_GROUPS_MAX;
    size_t from = 0, last_end = 0;
    while (from <= subject.len && sx_re2_match(re->re2, subject, from, false, groups, count)) {
        size_t start = (size_t)(groups[0].data - subject.data), end = start + groups[0].len;
        sx_buf_bytes(out, subject.data + last_end, start - last_end);
        /* An empty match right behind another is none: else x* would replace twice. */
        if (end > last_end || start == 0) {
            sx_regex_expand(re, text, groups, count, out);
            replaced++;
        }
        last_end = end;
        if (end > from) {
            from = end;
        } else { /* an empty match here: go on behind the next character */
            uint32_t code;
            size_t step = sx_utf8_decode(sx_str_from(subject, from), &code);
            from += step ? step : 1;
        }
    }
    sx_buf_str(out, sx_str_from(subject, last_end));
    return replaced;
}
