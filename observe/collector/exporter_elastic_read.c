/* exporter_elastic_read.c - what Elasticsearch answers: each item's status, and its version. */
#include <sextant/json.h>

#include "observe/collector/exporter_elastic.h"

/* Words of errors lie here while they are told; longer ones are cut off with the answer. */
enum { SPACE_BYTES = 64 << 10 };

/* {"type": "mapper_parsing_exception", "reason": "...", ...}, or a text. */
static void read_error(sx_json *r, sx_str *type, sx_str *reason)
{
    sx_str key;
    if (sx_json_peek(r) == SX_JSON_STRING) {
        sx_json_read_str(r, reason);
        return;
    }
    if (sx_json_peek(r) != SX_JSON_OBJECT) {
        sx_json_skip(r);
        return;
    }
    sx_json_enter_object(r);
    while (sx_json_next_key(r, &key)) {
        if (sx_str_eq(key, SX_STR("type")) && sx_json_peek(r) == SX_JSON_STRING)
            sx_json_read_str(r, type);
        else if (sx_str_eq(key, SX_STR("reason")) && sx_json_peek(r) == SX_JSON_STRING)
            sx_json_read_str(r, reason);
    }
}

/* {"index": {"status": 201, "error": {...}, ...}} */
static void read_item(sx_json *r, size_t number, elastic_item_fn *item, void *ctx)
{
    sx_str key, type = {0}, reason = {0};
    int64_t status = 0;
    sx_json_enter_object(r);
    if (sx_json_next_key(r, &key) && sx_json_peek(r) == SX_JSON_OBJECT) {
        sx_json_enter_object(r);
        while (sx_json_next_key(r, &key)) {
            if (sx_str_eq(key, SX_STR("status")))
                sx_json_read_i64(r, &status);
            else if (sx_str_eq(key, SX_STR("error")))
                read_error(r, &type, &reason);
        }
    }
    if (sx_json_leave(r) && sx_json_status(r, NULL) == SX_OK)
        item(ctx, number, status > 0 && status < 1000 ? (int)status : 0, type, reason);
}

sx_status elastic_read_bulk(sx_str answer, bool *errors, size_t *count, elastic_item_fn *item,
                            void *ctx, sx_error *err)
{
    sx_json r;
    sx_arena arena;
    sx_str key;
    bool told = false;
    *errors = true;
    *count = 0;
    sx_arena_init(&arena, 0, SPACE_BYTES);
    sx_json_init(&r, answer, &(sx_json_options){.arena = &arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("errors"))) {
            told = sx_json_read_bool(&r, errors);
            if (told && !*errors)
                break; /* the usual case: what follows says "created" of each */
        } else if (sx_str_eq(key, SX_STR("items")) && sx_json_enter_array(&r)) {
            while (sx_json_next_item(&r)) {
                read_item(&r, *count, item, ctx);
                ++*count;
                sx_arena_reset(&arena);
            }
        }
    }
    sx_status status = sx_json_status(&r, err);
    sx_arena_done(&arena);
    if (status == SX_OK && !told)
        return sx_fail(err, SX_EFORMAT, "no answer of the bulk API: it does not say \"errors\"");
    return status;
}

bool elastic_is_legacy(sx_str answer)
{
    sx_json r;
    char space[256];
    sx_str key, text;
    uint64_t major = 0;
    bool other = false;
    sx_json_init(&r, answer, &(sx_json_options){.space = space, .space_bytes = sizeof(space)});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (!sx_str_eq(key, SX_STR("version")) || sx_json_peek(&r) != SX_JSON_OBJECT)
            continue;
        sx_json_enter_object(&r);
        while (sx_json_next_key(&r, &key)) {
            if (sx_str_eq(key, SX_STR("distribution")))
                other = true; /* OpenSearch; Elasticsearch has no such field */
            else if (sx_str_eq(key, SX_STR("number")) && sx_json_read_str(&r, &text))
                sx_str_to_u64(sx_str_first(text, sx_str_find_byte(text, '.')), &major);
        }
    }
    return other || major < 8;
}
