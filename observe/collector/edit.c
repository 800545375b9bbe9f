/* edit.c - lists of attributes that change, and what may stand in a configuration as a value. */
#include "observe/collector/edit.h"

#include <openssl/evp.h>

#include "observe/collector/settings_impl.h"

void attr_edit_init(attr_edit *e, span_attrs from, sx_arena *arena)
{
    *e = (attr_edit){.arena = arena, .from = from, .count = from.count};
}

span_attrs attr_edit_result(const attr_edit *e)
{
    if (!e->items)
        return e->from;
    return (span_attrs){.items = e->items, .count = e->count, .dropped = e->from.dropped};
}

/* Makes the list its own, with room for one more. */
static bool own(attr_edit *e)
{
    if (e->failed || (e->items && e->count < e->cap))
        return !e->failed;
    uint32_t cap = e->items ? e->cap * 2 : e->count + 4;
    span_attr *items = sx_arena_calloc(e->arena, cap, sizeof(*items));
    if (!items) {
        e->failed = true;
        return false;
    }
    if (e->count)
        memcpy(items, attr_edit_items(e), e->count * sizeof(*items));
    e->items = items;
    e->cap = cap;
    return true;
}

const span_value *attr_edit_find(const attr_edit *e, sx_str key)
{
    return span_attrs_find((span_attrs){.items = attr_edit_items(e), .count = e->count}, key);
}

void attr_edit_value(attr_edit *e, uint32_t i, const span_value *v)
{
    span_value copy = *v; /* may be of this very list */
    if (own(e))
        e->items[i].value = copy;
}

void attr_edit_set(attr_edit *e, sx_str key, const span_value *v)
{
    span_value copy = *v;
    for (uint32_t i = 0; i < e->count; i++)
        if (sx_str_eq(span_attr_key(&attr_edit_items(e)[i]), key)) {
            attr_edit_value(e, i, &copy);
            return;
        }
    if (own(e))
        e->items[e->count++] =
            (span_attr){.key = key.data, .key_len = (uint32_t)key.len, .value = copy};
}

void attr_edit_remove(attr_edit *e, uint32_t i)
{
    if (!own(e))
        return;
    memmove(&e->items[i], &e->items[i + 1], (e->count - i - 1) * sizeof(*e->items));
    e->count--;
}

sx_str span_value_string(const span_value *v, sx_arena *arena)
{
    sx_buf text;
    if (v->type == SPAN_STR)
        return sx_str_of(v->data ? v->data : "", v->len);
    sx_buf_init(&text, 0);
    span_value_text(v, &text);
    sx_str out = {0};
    if (!text.failed)
        out = sx_arena_copy(arena, sx_buf_view(&text));
    sx_buf_done(&text);
    return out;
}

sx_str hash_hex(sx_str bytes, sx_arena *arena)
{
    static const char DIGITS[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(bytes.data ? bytes.data : "", bytes.len, digest, &len, EVP_sha256(), NULL) != 1)
        return sx_str_of(NULL, 0);
    char *out = sx_arena_alloc(arena, (size_t)len * 2);
    for (unsigned i = 0; out && i < len; i++) {
        out[2 * i] = DIGITS[digest[i] >> 4];
        out[2 * i + 1] = DIGITS[digest[i] & 15];
    }
    return sx_str_of(out, out ? (size_t)len * 2 : 0);
}

/* Depth is that of the file, which sx_yaml_options bounds. */
sx_status settings_value(bind *b, const sx_yaml_node *node, span_value *out)
{
    sx_error err;
    *out = (span_value){.type = SPAN_EMPTY};
    if (node->kind == SX_YAML_SEQUENCE) {
        span_value *items = sx_arena_calloc(b->arena, node->count + 1, sizeof(*items));
        if (!items)
            return settings_no_memory(b);
        for (uint32_t i = 0; i < node->count; i++) {
            sx_status st = settings_value(b, node->items[i], &items[i]);
            if (st != SX_OK)
                return st;
        }
        *out = (span_value){.items = items, .len = node->count, .type = SPAN_LIST};
        return SX_OK;
    }
    if (node->kind == SX_YAML_MAPPING) {
        span_attr *members = sx_arena_calloc(b->arena, node->count + 1, sizeof(*members));
        if (!members)
            return settings_no_memory(b);
        for (uint32_t i = 0; i < node->count; i++) {
            members[i].key = node->pairs[i].key->scalar.data;
            members[i].key_len = (uint32_t)node->pairs[i].key->scalar.len;
            sx_status st = settings_value(b, node->pairs[i].value, &members[i].value);
            if (st != SX_OK)
                return st;
        }
        *out = (span_value){.members = members, .len = node->count, .type = SPAN_MAP};
        return SX_OK;
    }
    switch (sx_yaml_type_of(node)) {
    case SX_YAML_TYPE_NULL:
        return SX_OK;
    case SX_YAML_TYPE_BOOL: {
        bool truth = false;
        if (sx_yaml_bool(node, &truth, &err) != SX_OK)
            return bind_fault(b, node, "expected true or false");
        *out = (span_value){.i = truth, .type = SPAN_BOOL};
        return SX_OK;
    }
    case SX_YAML_TYPE_INT:
        out->type = SPAN_INT;
        return sx_yaml_i64(node, INT64_MIN, INT64_MAX, &out->i, &err) == SX_OK
                   ? SX_OK
                   : bind_fault(b, node, "the number is too large");
    case SX_YAML_TYPE_FLOAT:
        out->type = SPAN_DOUBLE;
        return bind_read_field(b, &(bind_field){.key = "value", .kind = BIND_DOUBLE}, node,
                               &out->d);
    default:
        *out = (span_value){
            .data = node->scalar.data, .len = (uint32_t)node->scalar.len, .type = SPAN_STR};
        return SX_OK;
    }
}
