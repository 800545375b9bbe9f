/* fuzz_regex.c - a simple pattern matches exactly what RE2 says; no pattern or replacement text does
 * harm. The input is a pattern, a 0xff byte (which no UTF-8 holds), and a subject. */
#include <sextant/regex.h>

#include <sextant/utf8.h>

#include "base/regex_plan.h"
#include "base/regex_shim.h"

enum { PATTERN_BYTES_MAX = 200, SUBJECT_BYTES_MAX = 400, OUTPUT_BYTES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_with_re2(sx_str pattern, sx_str subject, bool dots_are_all)
{
    sx_arena arena;
    sx_regex_plan plan;
    sx_arena_init(&arena, 0, 0);
    if (sx_regex_plan_make(&plan, pattern, dots_are_all, &arena) && plan.is_fast) {
        const sx_re2_options options = {1 << 20, false, dots_are_all, false};
        sx_re2_fault fault;
        char message[128];
        sx_re2 *re2 = sx_re2_new(pattern, &options, &fault, message, sizeof(message));
        sx_assert(re2 != NULL); /* what is simple to us is right to RE2 */
        sx_assert(sx_regex_plan_match(&plan, subject) ==
                  sx_re2_match(re2, subject, 0, true, NULL, 0));
        sx_assert(sx_regex_plan_search(&plan, subject) ==
                  sx_re2_match(re2, subject, 0, false, NULL, 0));
        sx_re2_free(re2);
    }
    sx_arena_done(&arena);
}

static void use_all(sx_str pattern, sx_str subject)
{
    const sx_regex_options options = {.flags = SX_REGEX_CAPTURES, .memory_max = 1 << 20};
    sx_regex *re;
    sx_error err = {0};
    if (sx_regex_new(&re, pattern, &options, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return;
    }
    sx_str groups[10];
    bool is_text = sx_utf8_valid(subject); /* regex.h: on broken text the dot is not one thing */
    bool whole = sx_regex_capture(re, subject, SX_REGEX_WHOLE, groups, 10);
    sx_assert(!is_text || whole == sx_regex_match(re, subject));
    if (whole)
        sx_assert(groups[0].len == subject.len);
    bool found = sx_regex_capture(re, subject, SX_REGEX_ANYWHERE, groups, 10);
    sx_assert(!is_text || found == sx_regex_search(re, subject));
    sx_buf out;
    sx_buf_init(&out, OUTPUT_BYTES_MAX);
    size_t replaced = sx_regex_replace_all(re, subject, SX_STR("$0"), &out);
    sx_assert((replaced > 0) == found);
    sx_assert(sx_str_eq(sx_buf_view(&out), subject)); /* each match by itself: nothing changes */
    if (found)
        sx_regex_expand(re, pattern, groups, 10, &out);
    sx_buf_done(&out);
    sx_regex_free(re);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str all = sx_str_of(data, size), pattern, subject;
    sx_str_cut(all, (char)0xff, &pattern, &subject);
    if (pattern.len > PATTERN_BYTES_MAX || subject.len > SUBJECT_BYTES_MAX)
        return 0;
    use_all(pattern, subject);
    if (!sx_utf8_valid(pattern) || !sx_utf8_valid(subject))
        return 0;
    compare_with_re2(pattern, subject, true);
    compare_with_re2(pattern, subject, false);
    return 0;
}
