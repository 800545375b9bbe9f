/* fuzz_json_lines.c - a stream of lines in chunks of any size.
 *
 * The lines that come out, joined, are those that a plain search for newlines finds, whatever the
 * chunks; lines over the limit are refused with a message, and only those. */
#include <stddef.h>
#include <stdint.h>

#include <sextant/json.h>
#include <sextant/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_blank(sx_str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

/* The plain model: each line that is given, and '!' for each refused. A line over the limit is
 * refused even if it is blank. */
static void model(sx_str text, size_t limit, sx_buf *out)
{
    while (text.len) {
        sx_str line;
        sx_str_cut(text, '\n', &line, &text);
        if (line.len > limit) {
            sx_buf_byte(out, '!');
        } else if (!is_blank(line)) {
            sx_buf_str(out, line);
            sx_buf_byte(out, '\n');
        }
    }
}

static void split(sx_str text, size_t step, size_t limit, sx_buf *out)
{
    sx_json_lines l;
    char *chunk = NULL;
    sx_json_lines_init(&l, limit);
    for (;;) {
        sx_str line;
        sx_error err = {0};
        sx_status status = sx_json_lines_next(&l, &line, &err);
        if (status == SX_END)
            break;
        if (status == SX_OK) {
            sx_buf_str(out, line);
            sx_buf_byte(out, '\n');
        } else if (status == SX_ELIMIT) {
            sx_assert(err.message[0] != '\0');
            sx_buf_byte(out, '!');
        } else {
            sx_assert(status == SX_AGAIN);
            sx_str piece = sx_str_first(text, step);
            text = sx_str_from(text, piece.len);
            sx_free(chunk);
            chunk = sx_alloc(piece.len);
            sx_assert(chunk != NULL);
            memcpy(chunk, piece.data, piece.len);
            sx_json_lines_feed(&l, sx_str_of(chunk, piece.len));
        }
    }
    sx_free(chunk);
    sx_json_lines_done(&l);
}

/* The first two bytes are the chunks' size and the limit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    sx_str text = sx_str_of(data + 2, size - 2);
    size_t step = (size_t)data[0] + 1, limit = (size_t)data[1] + 1;
    sx_buf want, got;
    sx_buf_init(&want, 0);
    sx_buf_init(&got, 0);
    model(text, limit, &want);
    split(text, step, limit, &got);
    sx_assert(sx_str_eq(sx_buf_view(&want), sx_buf_view(&got)));
    sx_buf_done(&want);
    sx_buf_done(&got);
    return 0;
}
