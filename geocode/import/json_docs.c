/* json_docs.c - Addok's documents: one a line (NDJSON), or as the elements of one JSON array.
 *
 * Elements of an array are cut out by counting brackets outside strings, which is all that is needed
 * to find their ends; the parser of documents (document.c) then reads each as if it were a line. */
#include <sextant/json.h>
#include <sextant/mem.h>

#include "geocode/import/document.h"
#include "geocode/import/intake.h"

static sx_status import_text(geo_intake *in, sx_str text, uint64_t line, sx_error *err)
{
    geo_in_doc doc;
    sx_arena_reset(&in->arena);
    sx_status status = geo_document_parse(text, &in->arena, &in->limits, &doc, err);
    if (status == SX_OK)
        status = geo_intake_add(in, &doc, err);
    status = geo_intake_row(in, line, status, err);
    return status == SX_OK ? geo_intake_look(in, err) : status;
}

/* --- One a line. */

typedef struct ndjson {
    geo_intake *in;
    sx_json_lines lines;
    bool begun;
} ndjson;

static void *ndjson_open(geo_intake *in, sx_error *err)
{
    ndjson *r = sx_calloc(1, sizeof(*r));
    if (!r) {
        sx_fail_memory(err, "a reader");
        return NULL;
    }
    r->in = in;
    sx_json_lines_init(&r->lines, in->limits.line_bytes_max);
    return r;
}

static void ndjson_close(void *reader)
{
    ndjson *r = reader;
    sx_json_lines_done(&r->lines);
    sx_free(r);
}

static sx_str without_mark(sx_str chunk, bool *begun)
{
    bool first = !*begun;
    *begun = true;
    return first && sx_str_starts(chunk, SX_STR("\xEF\xBB\xBF")) ? sx_str_from(chunk, 3) : chunk;
}

static sx_status ndjson_feed(void *reader, sx_str chunk, sx_error *err)
{
    ndjson *r = reader;
    sx_str line, text = without_mark(chunk, &r->begun);
    if (chunk.len && text.len == 0)
        return SX_OK;
    sx_json_lines_feed(&r->lines, text);
    for (;;) {
        sx_status status = sx_json_lines_next(&r->lines, &line, err);
        if (status == SX_AGAIN || status == SX_END)
            return SX_OK;
        if (status == SX_OK)
            status = import_text(r->in, line, r->lines.line, err);
        else
            status = geo_intake_row(r->in, r->lines.line, status, err);
        if (status != SX_OK)
            return status;
    }
}

const geo_reader GEO_READER_NDJSON = {
    .name = "NDJSON",
    .language = GEO_LANGUAGE_FRENCH,
    .attribution = "BAN",
    .licence = "ETALAB-2.0",
    .open = ndjson_open,
    .feed = ndjson_feed,
    .close = ndjson_close,
};

/* --- Elements of an array. */

typedef enum place { BEFORE, FIRST, ELEMENT, BEHIND, WANTED, AFTER } place;

typedef struct array {
    geo_intake *in;
    sx_buf text; /* of the element under way */
    place place;
    uint32_t depth;
    bool in_string, escaped, begun;
    uint64_t line, began_line, bytes;
} array;

static void *array_open(geo_intake *in, sx_error *err)
{
    array *a = sx_calloc(1, sizeof(*a));
    if (!a) {
        sx_fail_memory(err, "a reader");
        return NULL;
    }
    a->in = in;
    a->line = 1;
    sx_buf_init(&a->text, 0);
    return a;
}

static void array_close(void *reader)
{
    array *a = reader;
    sx_buf_done(&a->text);
    sx_free(a);
}

static sx_status array_flaw(const array *a, const char *want, sx_error *err)
{
    sx_fail(err, SX_EFORMAT, "byte %llu of the file: %s was expected",
            (unsigned long long)a->bytes + 1, want);
    return sx_error_prefix(err, SX_EFORMAT, "%s:%llu", a->in->input->path,
                           (unsigned long long)a->line);
}

static sx_status end_element(array *a, sx_error *err)
{
    sx_status status = sx_buf_status(&a->text, "a document", err);
    if (status == SX_OK)
        status = import_text(a->in, sx_buf_view(&a->text), a->began_line, err);
    sx_buf_clear(&a->text);
    a->place = BEHIND;
    return status;
}

/* A byte between elements. */
static sx_status between(array *a, char c, sx_error *err)
{
    static const char *const WANTED_BYTE[] = {[BEFORE] = "'['",
                                              [FIRST] = "'{' or ']'",
                                              [BEHIND] = "',' or ']'",
                                              [WANTED] = "'{'",
                                              [AFTER] = "nothing more"};
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
        return SX_OK;
    if (c == '[' && a->place == BEFORE)
        a->place = FIRST;
    else if (c == ']' && (a->place == FIRST || a->place == BEHIND))
        a->place = AFTER;
    else if (c == ',' && a->place == BEHIND)
        a->place = WANTED;
    else if (c == '{' && (a->place == FIRST || a->place == WANTED)) {
        a->place = ELEMENT;
        a->depth = 1;
        a->began_line = a->line;
        sx_buf_byte(&a->text, c);
    } else {
        return array_flaw(a, WANTED_BYTE[a->place], err);
    }
    return SX_OK;
}

/* A byte of an element. */
static sx_status inside(array *a, char c, sx_error *err)
{
    if (a->text.len >= a->in->limits.line_bytes_max) {
        sx_fail(err, SX_ELIMIT, "the document that begins here has more than %zu bytes",
                a->in->limits.line_bytes_max);
        return sx_error_prefix(err, SX_ELIMIT, "%s:%llu", a->in->input->path,
                               (unsigned long long)a->began_line);
    }
    sx_buf_byte(&a->text, c);
    if (a->in_string) {
        a->in_string = a->escaped || c != '"';
        a->escaped = !a->escaped && c == '\\';
        return SX_OK;
    }
    a->in_string = c == '"';
    if (c == '{' || c == '[')
        a->depth++;
    if ((c == '}' || c == ']') && --a->depth == 0)
        return end_element(a, err);
    return SX_OK;
}

static sx_status array_feed(void *reader, sx_str chunk, sx_error *err)
{
    array *a = reader;
    sx_str text = without_mark(chunk, &a->begun);
    if (chunk.len == 0 && a->place == ELEMENT)
        return array_flaw(a, "the end of the document", err);
    if (chunk.len == 0 && a->place != AFTER)
        return array_flaw(a, "']'", err);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        sx_status status = a->place == ELEMENT ? inside(a, c, err) : between(a, c, err);
        if (status != SX_OK)
            return status;
        a->bytes++;
        a->line += c == '\n';
    }
    return SX_OK;
}

const geo_reader GEO_READER_JSON_ARRAY = {
    .name = "a JSON array",
    .language = GEO_LANGUAGE_FRENCH,
    .attribution = "BAN",
    .licence = "ETALAB-2.0",
    .open = array_open,
    .feed = array_feed,
    .close = array_close,
};
