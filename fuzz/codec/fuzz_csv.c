/* fuzz_csv.c - chunk borders never show, and what was read, written and read again is equal.
 *
 * The first two bytes choose the dialect, the limits and the chunk size. */
#include <sextant/csv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#include <stdlib.h>

/* Reads all of `text` in chunks of `step` and prints what came without loss: counts and lengths before
 * bytes. `copy`, if any, gets the records written as CSV. */
static sx_status read_all(sx_str text, const sx_csv_options *options, size_t step, sx_buf *print,
                          sx_csv_writer *copy)
{
    sx_error err = {0};
    sx_csv_record record;
    sx_csv_reader *r = sx_csv_reader_new(options, &err);
    if (!r)
        return err.status;
    sx_status status = SX_AGAIN;
    while (status == SX_AGAIN) {
        /* A copy of its own shows a sanitizer any view that outlives its chunk. */
        sx_str piece = sx_str_first(text, step);
        char *own = malloc(piece.len + 1);
        sx_assert(own);
        if (piece.len)
            memcpy(own, piece.data, piece.len);
        text = sx_str_from(text, piece.len);
        if (piece.len)
            sx_csv_feed(r, sx_str_of(own, piece.len));
        else
            sx_csv_finish(r);
        while ((status = sx_csv_next(r, &record, &err)) == SX_OK) {
            sx_assert(record.count >= 1);
            sx_buf_printf(print, "%zu@%d!%u", record.count, (int)record.line, record.flaws);
            for (size_t i = 0; i < record.count; i++) {
                sx_buf_printf(print, "[%zu:", record.fields[i].len);
                sx_buf_str(print, record.fields[i]);
                if (copy)
                    sx_csv_put(copy, record.fields[i]);
            }
            if (copy)
                sx_csv_end(copy);
        }
        free(own);
    }
    sx_assert(status == SX_END || err.message[0] != '\0');
    if (status != SX_END)
        sx_buf_printf(print, "%s", err.message);
    sx_csv_reader_free(r);
    return status;
}

/* Fields only, for comparing files that differ in lines and quotes. */
static void read_fields(sx_str text, const sx_csv_options *options, sx_buf *print)
{
    sx_csv_record record;
    sx_csv_reader *r = sx_csv_reader_new(options, NULL);
    sx_assert(r);
    sx_csv_feed(r, text);
    sx_status status;
    while ((status = sx_csv_next(r, &record, NULL)) == SX_OK || status == SX_AGAIN) {
        if (status == SX_AGAIN) {
            sx_csv_finish(r);
            continue;
        }
        for (size_t i = 0; i < record.count; i++) {
            sx_buf_printf(print, "[%zu:", record.fields[i].len);
            sx_buf_str(print, record.fields[i]);
        }
        sx_buf_byte(print, '\n');
    }
    sx_assert(status == SX_END);
    sx_csv_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    sx_str text = sx_str_of(data + 2, size - 2);
    sx_csv_options options = {
        .delimiter = data[0] & 1 ? ';' : ',',
        .quote = data[0] & 2 ? '\'' : '"',
        .no_quotes = data[0] & 4,
        .strict = data[0] & 8,
        .keep_blank_lines = data[0] & 16,
        .field_bytes_max = data[0] & 32 ? 5 : 0,
        .fields_max = data[0] & 64 ? 3 : 0,
        .record_bytes_max = data[0] & 128 ? 40 : 0,
    };
    sx_buf whole, parts, rewritten, again;
    sx_buf_init(&whole, 0);
    sx_buf_init(&parts, 0);
    sx_buf_init(&rewritten, 0);
    sx_buf_init(&again, 0);
    sx_csv_writer writer;
    sx_csv_writer_init(&writer, &rewritten, &options);
    writer.lf = data[1] & 1;
    writer.quote_all = data[1] & 2;
    sx_status status = read_all(text, &options, SIZE_MAX, &whole, &writer);
    sx_assert(read_all(text, &options, 1u + data[1], &parts, NULL) == status);
    sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&parts)));

    if (status == SX_END) {
        sx_csv_options plain = {
            .delimiter = options.delimiter, .quote = options.quote, .strict = true};
        sx_buf second;
        sx_buf_init(&second, 0);
        read_fields(sx_buf_view(&rewritten), &plain, &again);
        read_fields(text, &options, &second);
        sx_assert(sx_str_eq(sx_buf_view(&again), sx_buf_view(&second)));
        sx_buf_done(&second);
    }
    sx_buf_done(&whole);
    sx_buf_done(&parts);
    sx_buf_done(&rewritten);
    sx_buf_done(&again);
    return 0;
}
