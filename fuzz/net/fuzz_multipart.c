/* fuzz_multipart.c - what a form is read as does not depend on how it is cut into pieces. */
#include <sextant/multipart.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that was told, with marks between. */
static sx_status begins(void *ctx, const sx_multipart_part *part, sx_error *err)
{
    sx_buf *heard = ctx;
    (void)err;
    sx_buf_str(heard, SX_STR("\1"));
    sx_buf_str(heard, part->name);
    sx_buf_str(heard, SX_STR("\2"));
    sx_buf_str(heard, part->filename);
    sx_buf_str(heard, SX_STR("\3"));
    sx_buf_str(heard, part->content_type);
    return SX_OK;
}

static sx_status data_came(void *ctx, sx_str piece, sx_error *err)
{
    (void)err;
    sx_assert(piece.len > 0);
    sx_buf_str(ctx, piece);
    return SX_OK;
}

static sx_status ends(void *ctx, sx_error *err)
{
    (void)err;
    sx_buf_str(ctx, SX_STR("\4"));
    return SX_OK;
}

static sx_status read_form(sx_str form, size_t step, sx_buf *heard)
{
    static const sx_multipart_events EVENTS = {begins, data_came, ends};
    static const sx_multipart_limits LIMITS = {.header_bytes_max = 200, .parts_max = 8};
    sx_multipart m;
    sx_error err = {0};
    sx_status status = sx_multipart_init(&m, SX_STR("b"), &LIMITS, &EVENTS, heard, &err);
    sx_assert(status == SX_OK);
    for (; form.len && status == SX_OK; form = sx_str_from(form, step))
        status = sx_multipart_feed(&m, sx_str_first(form, step), &err);
    if (status == SX_OK)
        status = sx_multipart_finish(&m, &err);
    sx_assert(status == SX_OK || err.message[0] != '\0');
    sx_multipart_done(&m);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str form = sx_str_of(data, size), boundary;
    sx_error err;
    sx_buf whole, pieces;
    if (!size)
        return 0;
    if (sx_multipart_boundary(form, &boundary, &err) == SX_OK)
        sx_assert(boundary.len > 0 && boundary.len <= SX_MULTIPART_BOUNDARY_MAX);
    sx_buf_init(&whole, 0);
    sx_buf_init(&pieces, 0);
    sx_status at_once = read_form(form, size, &whole);
    sx_status cut = read_form(form, 1 + size % 7, &pieces);
    sx_assert(at_once == cut && sx_str_eq(sx_buf_view(&whole), sx_buf_view(&pieces)));
    sx_buf_done(&whole);
    sx_buf_done(&pieces);
    return 0;
}
