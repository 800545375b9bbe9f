/* Redis's replies. The first byte says where the stream is cut: whole and cut it gives the same replies
 * and the same end, within the limits on bytes and items; a refusal has words. */
#include "client/redis_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 4096, ITEMS_MAX = 200 };

static uint32_t show(const sx_redis_reply *r, sx_buf *out)
{
    uint32_t items = (uint32_t)r->count;
    sx_buf_printf(out, "%d:%lld:%zu:", (int)r->kind, (long long)r->integer, r->count);
    sx_buf_str(out, r->str);
    for (size_t i = 0; i < r->count; i++)
        items += show(&r->items[i], out);
    return items;
}

static sx_status read_all(sx_str first, sx_str second, sx_buf *out)
{
    redis_reader r;
    sx_error err = {0};
    sx_status st = SX_AGAIN;
    sx_assert(redis_reader_init(&r, BYTES_MAX, ITEMS_MAX, &err) == SX_OK);
    const sx_str pieces[] = {first, second};
    for (int i = 0; i < 2 && st == SX_AGAIN; i++) {
        const sx_redis_reply *reply;
        st = redis_reader_feed(&r, pieces[i], &err);
        while (st == SX_OK) {
            st = redis_reader_next(&r, &reply, &err);
            if (st == SX_OK)
                sx_assert(show(reply, out) <= ITEMS_MAX);
        }
    }
    sx_assert(st == SX_AGAIN || err.message[0] != '\0');
    redis_reader_done(&r);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_buf whole, cut;
    if (size == 0)
        return 0;
    sx_str text = sx_str_of(data + 1, size - 1 < BYTES_MAX ? size - 1 : BYTES_MAX);
    size_t at = data[0] < text.len ? data[0] : text.len;
    sx_buf_init(&whole, 0);
    sx_buf_init(&cut, 0);
    sx_status st = read_all(text, SX_STR(""), &whole);
    sx_assert(read_all(sx_str_first(text, at), sx_str_from(text, at), &cut) == st);
    sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&cut)));
    sx_buf_done(&whole);
    sx_buf_done(&cut);
    return 0;
}
