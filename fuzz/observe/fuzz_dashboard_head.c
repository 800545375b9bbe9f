/* fuzz_dashboard_head.c - the reader of dashboards' heads, whatever the bytes: what is taken is given out
 * with its numbers, and that reads back with the same head and as the same text; a refusal has a message. */
#include <sextant/json.h>

#include "observe/dashboards/head.h"

static void check_tags(const dash_head *a, const dash_head *b)
{
    sx_assert(a->tag_count == b->tag_count && a->tag_count <= DASH_TAGS_MAX);
    for (size_t i = 0; i < a->tag_count; i++)
        sx_assert(sx_str_eq(a->tags[i], b->tags[i]) && a->tags[i].len);
}

static void check_slug(const dash_head *h, sx_arena *arena)
{
    sx_str slug = dash_slug(h->title, SX_STR("u"), arena);
    sx_assert(slug.len > 0 && slug.len <= DASH_SLUG_BYTES_MAX + 4 && dash_uid_is_valid(slug));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const dash_stamp STAMP = {.id = 3, .version = 9, .uid = SX_STR_INIT("u-1")};
    sx_arena arena;
    sx_buf first, second;
    dash_head head, again;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&first, 0);
    sx_buf_init(&second, 0);
    sx_str text = sx_str_of(data, size);
    if (dash_head_read(text, &arena, &head, &err) == SX_OK) {
        sx_assert(head.json.len >= 2 && head.json.len <= size && head.id >= 0 && head.version >= 0);
        check_slug(&head, &arena);
        sx_assert(dash_stamp_write(text, &STAMP, &first, &err) == SX_OK);
        sx_assert(dash_head_read(sx_buf_view(&first), &arena, &again, &err) == SX_OK);
        sx_assert(sx_str_eq(head.title, again.title));
        sx_assert(sx_str_eq(head.description, again.description));
        check_tags(&head, &again);
        if (!again.is_resource) {
            sx_assert(again.id == STAMP.id && again.version == STAMP.version);
            sx_assert(sx_str_eq(again.uid, STAMP.uid));
        }
        sx_assert(dash_stamp_write(sx_buf_view(&first), &STAMP, &second, &err) == SX_OK);
        sx_assert(sx_str_eq(sx_buf_view(&first), sx_buf_view(&second)));
    } else {
        sx_assert(err.message[0] != '\0');
    }
    sx_buf_done(&second);
    sx_buf_done(&first);
    sx_arena_done(&arena);
    return 0;
}
