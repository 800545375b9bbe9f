/* fuzz_csv_upload.c - a table is decoded, guessed and taken apart alike however it is cut, within its
 * limits; and what is written of it reads back equal. */
#include "geocode/api/csv_sniff.h"
#include "geocode/api/csv_text.h"

#include <sextant/utf8.h>

enum { ROW_BYTES_MAX = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const geo_csv_charset *charset, sx_str in, size_t step, sx_buf *out)
{
    geo_csv_decoder d = {.charset = *charset, .lenient = true};
    for (; in.len; in = sx_str_from(in, step))
        sx_assert(geo_csv_decode(&d, sx_str_first(in, step), GEO_CSV_PIECE, out, NULL) == SX_OK);
    sx_assert(geo_csv_decode(&d, sx_str_of("", 0), GEO_CSV_LAST, out, NULL) == SX_OK);
    sx_assert(sx_utf8_valid(sx_buf_view(out)));
}

/* Every row of `text` as it would be written; fed at most about `step` bytes at a time. */
static void rewrite(const geo_csv_dialect *dialect, sx_str text, size_t step, sx_buf *out)
{
    geo_csv_reader r;
    geo_csv_rows rows = {0};
    geo_csv_reader_init(&r, dialect, ROW_BYTES_MAX);
    while (text.len || !geo_csv_between_rows(&r)) {
        sx_str piece = sx_utf8_first(text, step);
        if (!piece.len)
            piece = sx_str_first(text, 4 < text.len ? sx_utf8_first(text, 4).len : text.len);
        text = sx_str_from(text, piece.len);
        bool last = text.len == 0;
        while (piece.len || last) {
            sx_assert(geo_csv_read(&r, &piece, 64, &rows) == SX_OK);
            if (!piece.len && last) {
                sx_assert(geo_csv_read_end(&r, &rows) == SX_OK);
                last = false;
            } else if (!geo_csv_between_rows(&r)) {
                break;
            }
            for (size_t i = 0; i < rows.count; i++) {
                const geo_csv_row *row = &rows.rows[i];
                size_t bytes = 0;
                for (size_t k = 0; k < row->count; k++) {
                    sx_str field = geo_csv_field(&rows, row->first + k);
                    bytes += field.len;
                    geo_csv_put(dialect, out, k ? GEO_CSV_LATER : GEO_CSV_FIRST, field);
                }
                sx_assert(bytes <= ROW_BYTES_MAX && row->count <= ROW_BYTES_MAX + 1);
                geo_csv_end(dialect, out);
            }
            geo_csv_rows_clear(&rows);
        }
    }
    geo_csv_rows_done(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const CHARSETS[] = {"utf-8-sig", "utf-16", "cp1252", "utf-16-be"};
    geo_csv_charset charset;
    geo_csv_dialect dialect;
    sx_buf text, again, rows, pieces;
    if (size < 2)
        return 0;
    sx_buf_init(&text, 0);
    sx_buf_init(&again, 0);
    sx_buf_init(&rows, 0);
    sx_buf_init(&pieces, 0);
    sx_assert(geo_csv_charset_find(sx_str_z(CHARSETS[data[0] % 4]), &charset));
    sx_str in = sx_str_of(data + 1, size - 1);
    decode(&charset, in, in.len, &text);
    decode(&charset, in, 1 + data[0] % 5, &again);
    sx_assert(sx_str_eq(sx_buf_view(&text), sx_buf_view(&again)));
    sx_assert(geo_csv_dialect_of(sx_buf_view(&text), &dialect) == SX_OK);
    sx_assert(dialect.delimiter.len && dialect.quote.len);
    rewrite(&dialect, sx_buf_view(&text), SIZE_MAX, &rows);
    rewrite(&dialect, sx_buf_view(&text), 1 + data[0] % 9, &pieces);
    sx_assert(sx_str_eq(sx_buf_view(&rows), sx_buf_view(&pieces)));
    sx_buf_done(&text);
    sx_buf_done(&again);
    sx_buf_done(&rows);
    sx_buf_done(&pieces);
    return 0;
}
