/* fuzz_json.c - any bytes as JSON text.
 *
 * All scan levels give the same tokens and the same refusal, which has a message; what is accepted
 * is printed by the writer to a text that is printed the same again; a text in pieces reads as the
 * whole; and where a text is accepted, both ways of skipping end at the same byte. */
#include <stddef.h>
#include <stdint.h>

#include <sextant/mem.h>

#include "tests/unit/codec/json_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What `level` says is what the scalar scan says. */
static void check_levels(sx_str text)
{
    sx_buf scalar, other;
    sx_buf_init(&scalar, 0);
    sx_buf_init(&other, 0);
    json_tokens_at(JSON_SCAN_SCALAR, text, NULL, &scalar);
    for (int level = JSON_SCAN_SCALAR + 1; level < JSON_SCAN_LEVELS; level++)
        if (json_tokens_at((json_scan_level)level, text, NULL, &other))
            sx_assert(sx_str_eq(sx_buf_view(&scalar), sx_buf_view(&other)));
    sx_buf_done(&scalar);
    sx_buf_done(&other);
}

/* Prints `text` to `out`; false if it is refused, with a message. */
static bool print(sx_str text, sx_buf *out, const sx_json_style *style)
{
    sx_json r;
    sx_json_writer w;
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    sx_json_init(&r, text, &(sx_json_options){.arena = &arena});
    sx_json_writer_init(&w, out, style);
    bool good = json_copy(&r, &w) == SX_JSON_DONE;
    sx_status status = sx_json_status(&r, &err);
    sx_assert(good == (status == SX_OK));
    sx_assert(good || (err.message[0] != '\0' && err.status == status));
    if (good)
        sx_assert(sx_json_writer_finish(&w, NULL) == SX_OK);
    sx_arena_done(&arena);
    return good;
}

static void check_round_trip(sx_str text, const sx_json_style *style)
{
    sx_buf first, second;
    sx_buf_init(&first, 0);
    sx_buf_init(&second, 0);
    if (print(text, &first, style)) {
        sx_assert(print(sx_buf_view(&first), &second, style));
        sx_assert(sx_str_eq(sx_buf_view(&first), sx_buf_view(&second)));
    }
    sx_buf_done(&first);
    sx_buf_done(&second);
}

/* `said` without what a refusal says after its place: a piece may be refused before all of the word
 * that its message shows has come. */
static sx_str without_reason(sx_str said)
{
    size_t last = said.len - 1;
    while (last > 0 && said.data[last - 1] != '\n')
        last--;
    sx_str line = sx_str_from(said, last);
    return sx_str_first(said, last + sx_str_find(line, SX_STR("): ")));
}

/* The tokens of `text` cut in two at `cut`. */
static void check_pieces(sx_str text, size_t cut)
{
    sx_buf whole, pieces;
    sx_json r;
    sx_buf_init(&whole, 0);
    sx_buf_init(&pieces, 0);
    sx_json_init(&r, text, NULL);
    json_print_tokens(&r, &whole);
    sx_json_init(&r, sx_str_first(text, cut), &(sx_json_options){.partial = true});
    if (json_print_tokens(&r, &pieces) == SX_JSON_MORE) {
        sx_json_more(&r, sx_str_from(text, cut - sx_json_unread(&r).len), SX_JSON_LAST_PIECE);
        json_print_tokens(&r, &pieces);
    }
    sx_assert(sx_str_eq(without_reason(sx_buf_view(&whole)), without_reason(sx_buf_view(&pieces))));
    sx_buf_done(&whole);
    sx_buf_done(&pieces);
}

static void check_skipping(sx_str text)
{
    sx_json slow, fast;
    sx_json_init(&slow, text, NULL);
    sx_json_init(&fast, text, NULL);
    bool skipped = sx_json_skip(&slow);
    bool skipped_fast = sx_json_skip_fast(&fast);
    if (!skipped)
        return;
    sx_assert(skipped_fast);
    sx_assert(sx_json_end_offset(&slow) == sx_json_end_offset(&fast));
    sx_assert(sx_json_finish(&slow, NULL) == sx_json_finish(&fast, NULL));
}

/* The first byte says where the text is cut in two. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sx_str text = sx_str_of(data + 1, size - 1);
    check_levels(text);
    check_round_trip(text, NULL);
    check_round_trip(text, &(sx_json_style){.spacing = SX_JSON_PYTHON_SPACING,
                                            .charset = SX_JSON_ASCII,
                                            .doubles = SX_DOUBLE_PYTHON});
    check_pieces(text, text.len * data[0] / 255);
    check_skipping(text);
    return 0;
}
