/* Rule files: what is read has whole groups whose expressions print and read back; a refusal says why
 * and where; problems and verdict agree. */
#include <stddef.h>
#include <stdint.h>

#include "observe/rules/rule_file.h"

static void check_rule(const rule_def *r)
{
    sx_buf text;
    sx_error err;
    promql_parsed again;
    sx_arena arena;
    sx_buf_init(&text, 0);
    sx_arena_init(&arena, 0, 0);
    sx_assert(r->name.len && r->expr.expr);
    sx_assert(r->alert || (!r->annotations.count && !r->for_ms && !r->keep_firing_for_ms));
    for (uint32_t i = 1; i < r->labels.count; i++)
        sx_assert(sx_str_cmp(r->labels.items[i - 1].name, r->labels.items[i].name) < 0);
    sx_assert(promql_print(r->expr.expr, &text, &err) == SX_OK);
    sx_assert(promql_parse(sx_buf_view(&text), NULL, &arena, &again, &err) == SX_OK);
    promql_parsed_done(&again);
    sx_arena_done(&arena);
    sx_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rule_file *f;
    sx_buf problems;
    sx_error err = {0};
    sx_buf_init(&problems, 0);
    sx_status st =
        rule_file_parse(sx_str_of(data, size), SX_STR("f.yml"), NULL, &f, &problems, &err);
    if (st == SX_OK) {
        sx_assert(problems.len == 0);
        for (uint32_t g = 0; g < f->group_count; g++) {
            sx_assert(f->groups[g].name.len);
            for (uint32_t i = 0; i < f->groups[g].rule_count; i++)
                check_rule(&f->groups[g].rules[i]);
        }
        rule_file_lint(f, &problems);
    } else {
        sx_assert(!f && problems.len);
        sx_assert(sx_str_starts(sx_str_z(err.message), SX_STR("f.yml:")));
    }
    rule_file_free(f);
    sx_buf_done(&problems);
    return 0;
}
