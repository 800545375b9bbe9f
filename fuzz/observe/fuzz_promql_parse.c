/* fuzz_promql_parse.c - what parses prints, on one line and on several, to something that parses to
 * an equal tree; its JSON is valid; what does not parse has an error with a place.
 *
 * The first byte chooses the features; bit 7 makes the rest a series of promtool's unit tests. */
#include <sextant/json.h>

#include "observe/promql/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `text` was printed: it is a query again, and its printing is `line`. */
static void check_again(sx_str text, unsigned features, sx_str line)
{
    promql_parse_options options = {.features = features};
    sx_arena arena;
    sx_buf again;
    promql_parsed p;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&again, 0);
    sx_assert(promql_parse(text, &options, &arena, &p, &err) == SX_OK);
    sx_assert(promql_print(p.expr, &again, &err) == SX_OK);
    sx_assert(sx_str_eq(sx_buf_view(&again), line));
    promql_parsed_done(&p);
    sx_buf_done(&again);
    sx_arena_done(&arena);
}

static void check_json(const promql_expr *e)
{
    sx_buf out;
    sx_json r;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_assert(promql_json(e, &out, &err) == SX_OK);
    sx_json_init(&r, sx_buf_view(&out), &(sx_json_options){.depth_max = SX_JSON_DEPTH_MOST});
    sx_assert(sx_json_finish(&r, &err) == SX_OK);
    sx_buf_done(&out);
}

static void check_tree(const promql_expr *e, unsigned features)
{
    sx_buf line, lines;
    sx_error err = {0};
    sx_buf_init(&line, 0);
    sx_buf_init(&lines, 0);
    sx_assert(promql_print(e, &line, &err) == SX_OK);
    sx_assert(promql_format(e, &lines, &err) == SX_OK);
    /* Less than a millisecond is printed as nothing, which is no range. */
    bool tiny = sx_str_find(sx_buf_view(&line), SX_STR("[0s")) < line.len ||
                sx_str_find(sx_buf_view(&line), SX_STR(":0s]")) < line.len;
    if (!tiny) {
        check_again(sx_buf_view(&line), features, sx_buf_view(&line));
        check_again(sx_buf_view(&lines), features, sx_buf_view(&line));
    }
    check_json(e);
    sx_buf_done(&line);
    sx_buf_done(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    sx_str text = sx_str_of(data + 1, size - 1);
    sx_error err = {0};
    sx_arena arena;
    sx_arena_init(&arena, 0, 64 << 20);
    if (data[0] & 0x80) {
        tsdb_labels labels;
        promql_test_value *values;
        size_t count;
        sx_status status = promql_parse_series(text, &arena, &labels, &values, &count, &err);
        sx_assert(status == SX_OK || err.message[0]);
    } else {
        promql_parse_options options = {
            .features = data[0], .text_bytes_max = 1 << 16, .depth_max = 100};
        promql_parsed p;
        sx_status status = promql_parse(text, &options, &arena, &p, &err);
        sx_assert(status == SX_OK || err.message[0]);
        if (status == SX_OK)
            check_tree(p.expr, options.features);
        promql_parsed_done(&p);
    }
    sx_arena_done(&arena);
    return 0;
}
