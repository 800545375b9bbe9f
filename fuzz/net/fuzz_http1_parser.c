/* Cutting the bytes anywhere changes nothing; a refusal has a status and a reason; what is accepted
 * lies within the bytes. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "net/http1_parser.h"

static const sx_http_limits LIMITS = {
    .header_bytes_max = 512, .header_count_max = 12, .target_bytes_max = 96};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(sx_str s, const char *data, size_t len)
{
    if (s.len == 1 && s.data[0] == '/' && (s.data < data || s.data >= data + len))
        return; /* the path that an absolute target did not have */
    sx_assert(s.len == 0 || (s.data >= data && s.data + s.len <= data + len));
}

/* Bodies: the same data whatever the step. */
static sx_status read_body(sx_str in, size_t step, sx_buf *out, size_t *used)
{
    http1_chunks c = {0};
    *used = 0;
    while (*used < in.len) {
        sx_str part = sx_str_first(sx_str_from(in, *used), step), piece;
        size_t given = part.len;
        sx_status rc;
        while ((rc = http1_chunks_read(&c, 40, &part, &piece)) == SX_OK)
            sx_buf_str(out, piece);
        *used += given - part.len;
        sx_assert(rc != SX_EFORMAT || (c.status >= 400 && c.why && c.why[0]));
        if (rc != SX_AGAIN)
            return rc;
        sx_assert(part.len == 0);
    }
    return SX_AGAIN;
}

static void check_chunks(sx_str in, size_t step)
{
    sx_buf whole, cut;
    size_t whole_used, cut_used;
    sx_buf_init(&whole, 0);
    sx_buf_init(&cut, 0);
    sx_status rc = read_body(in, in.len + 1, &whole, &whole_used);
    sx_assert(read_body(in, step, &cut, &cut_used) == rc);
    sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&cut)) && whole_used == cut_used);
    sx_buf_done(&whole);
    sx_buf_done(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    size_t cut = bytes[0], step = bytes[1] % 7u + 1;
    const char *in = (const char *)bytes + 2;
    size_t len = size - 2;
    check_chunks(sx_str_of(in, len), step);

    char *data = sx_alloc(len + HTTP1_SLACK), *moved = sx_alloc(len + HTTP1_SLACK);
    sx_assert(data && moved);
    memcpy(data, in, len);
    memset(data + len, bytes[1], HTTP1_SLACK);
    http1_progress progress = {0};
    http1_head head = {0}, again = {0};
    sx_header headers[12], others[12];
    sx_status rc = http1_head_parse(data, len, &LIMITS, &progress, headers, &head);
    if (rc == SX_EFORMAT)
        sx_assert(head.status >= 400 && head.status < 600 && head.why && head.why[0]);
    if (rc == SX_OK) {
        sx_assert(head.bytes <= len && head.bytes <= LIMITS.header_bytes_max);
        sx_assert(head.header_count <= 12 && head.target.len <= 96);
        check_within(head.target, data, len);
        check_within(head.path, data, len);
        check_within(head.query, data, len);
        check_within(head.authority, data, len);
        for (size_t i = 0; i < head.header_count; i++) {
            check_within(headers[i].name, data, len);
            check_within(headers[i].value, data, len);
            sx_assert(headers[i].name.len > 0);
        }
    }

    progress = (http1_progress){0};
    sx_status other = SX_AGAIN;
    for (size_t n = cut < len ? cut : len; other == SX_AGAIN; n = n + step < len ? n + step : len) {
        memcpy(moved, in, n);
        memset(moved + n, bytes[0], HTTP1_SLACK);
        other = http1_head_parse(moved, n, &LIMITS, &progress, others, &again);
        if (n == len)
            break;
    }
    sx_assert(other == rc && again.status == head.status);
    sx_assert(rc != SX_EFORMAT || strcmp(again.why, head.why) == 0);
    sx_assert(rc != SX_OK ||
              (again.bytes == head.bytes && again.content_bytes == head.content_bytes));
    sx_free(data);
    sx_free(moved);
    return 0;
}
