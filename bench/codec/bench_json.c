/* bench_json.c - how fast JSON is read and written, in MB/s of JSON text on one core.
 *
 *     bench_json [FILE.ndjson | FILE.ndjson.gz]     default: data/france.ndjson.gz
 *
 * The lines of the file are read one by one, as an import does, and once more as the items of one
 * big array. Each figure is the best of several rounds, in processor time. UTF-8 is checked in all. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sextant/compress.h>
#include <sextant/json.h>
#include <sextant/mem.h>

#include "codec/json_plain.h"
#include "codec/json_scan.h"

enum { ROUNDS = 15 };

typedef struct input {
    sx_str lines;    /* the file */
    sx_str array;    /* the same as one array */
    sx_arena *arena; /* for strings with escapes */
    json_scan_fn scan;
    uint64_t checksum; /* keeps the compiler from leaving work out */
} input;

typedef void (*pass_fn)(input *in, sx_str text);

/* The next line of *text, which is not empty. */
static sx_str take_line(sx_str *text)
{
    sx_str line;
    sx_str_cut(*text, '\n', &line, text);
    return line;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_json: %s failed\n", what);
    exit(1);
}

static void start(input *in, sx_json *r, sx_str text)
{
    sx_json_init(r, text, &(sx_json_options){.arena = in->arena});
    if (in->scan)
        r->scan = in->scan;
}

static void tokens_of(input *in, sx_str text)
{
    sx_json r;
    sx_json_token token;
    uint64_t count = 0;
    start(in, &r, text);
    while ((token = sx_json_next(&r)) > SX_JSON_MORE)
        count++;
    must(token == SX_JSON_DONE, "reading tokens");
    in->checksum += count;
}

static void pass_tokens(input *in, sx_str text)
{
    while (text.len)
        tokens_of(in, take_line(&text));
}

/* What an import of addresses does with a line: names and positions are kept, the rest is not. */
typedef struct place {
    sx_str id, type, name, postcode;
    double lon, lat, importance;
    int64_t population;
    uint64_t houses;
} place;

static void read_house(sx_json *r, place *p)
{
    sx_str key;
    double lon = 0, lat = 0;
    sx_json_enter_object(r);
    while (sx_json_next_key(r, &key)) {
        if (sx_str_eq(key, SX_STR("lon")))
            sx_json_read_double(r, &lon);
        else if (sx_str_eq(key, SX_STR("lat")))
            sx_json_read_double(r, &lat);
        else
            sx_json_skip(r);
    }
    p->houses += (uint64_t)(lon * 100 + lat);
}

static void read_houses(sx_json *r, place *p)
{
    sx_str key;
    sx_json_enter_object(r);
    while (sx_json_next_key(r, &key))
        read_house(r, p);
}

static void read_place(sx_json *r, place *p)
{
    sx_str key;
    sx_json_enter_object(r);
    while (sx_json_next_key(r, &key)) {
        if (sx_str_eq(key, SX_STR("id")))
            sx_json_read_str(r, &p->id);
        else if (sx_str_eq(key, SX_STR("type")))
            sx_json_read_str(r, &p->type);
        else if (sx_str_eq(key, SX_STR("name")))
            sx_json_read_str(r, &p->name);
        else if (sx_str_eq(key, SX_STR("postcode")) && sx_json_peek(r) == SX_JSON_STRING)
            sx_json_read_str(r, &p->postcode);
        else if (sx_str_eq(key, SX_STR("lon")))
            sx_json_read_double(r, &p->lon);
        else if (sx_str_eq(key, SX_STR("lat")))
            sx_json_read_double(r, &p->lat);
        else if (sx_str_eq(key, SX_STR("importance")))
            sx_json_read_double(r, &p->importance);
        else if (sx_str_eq(key, SX_STR("population")))
            sx_json_read_i64(r, &p->population);
        else if (sx_str_eq(key, SX_STR("housenumbers")))
            read_houses(r, p);
    }
}

static void pass_fields(input *in, sx_str text)
{
    while (text.len) {
        sx_json r;
        sx_error err;
        place p = {0};
        start(in, &r, take_line(&text));
        read_place(&r, &p);
        must(sx_json_finish(&r, &err) == SX_OK, "reading fields");
        in->checksum += p.name.len + p.houses + (uint64_t)p.population;
    }
}

/* Only the name: everything else is skipped, checked or not. */
static void name_of(input *in, sx_str line, bool (*skip)(sx_json *r))
{
    sx_json r;
    sx_str key, name = SX_STR("");
    start(in, &r, line);
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("name")))
            sx_json_read_str(&r, &name);
        else
            skip(&r);
    }
    must(sx_json_finish(&r, NULL) == SX_OK, "skipping");
    in->checksum += name.len;
}

static void pass_skip(input *in, sx_str text)
{
    while (text.len)
        name_of(in, take_line(&text), sx_json_skip);
}

static void pass_skip_fast(input *in, sx_str text)
{
    while (text.len)
        name_of(in, take_line(&text), sx_json_skip_fast);
}

static void skip_all(input *in, sx_str text)
{
    sx_json r;
    start(in, &r, text);
    must(sx_json_skip(&r) && sx_json_finish(&r, NULL) == SX_OK, "skipping all");
}

static void skip_all_fast(input *in, sx_str text)
{
    sx_json r;
    start(in, &r, text);
    must(sx_json_skip_fast(&r) && sx_json_finish(&r, NULL) == SX_OK, "skipping all");
}

/* The first pass alone. */
static void scan_only(input *in, sx_str text)
{
    sx_json_window w;
    sx_json_carry carry = {0};
    json_scan_fn scan = in->scan ? in->scan : json_scan_best();
    const uint32_t bytes = SX_JSON_WINDOW_BLOCKS * 64;
    for (uint32_t at = 0; text.len - at >= bytes; at += bytes) {
        w.count = 0;
        must(scan((const unsigned char *)text.data + at, at, SX_JSON_WINDOW_BLOCKS, 0, &w,
                  &carry) == 0,
             "the scan");
        in->checksum += w.count;
    }
}

/* The tokens of the file, kept to measure writing alone. */
typedef struct item {
    sx_json_token token;
    bool whole;
    sx_str text;
    double number;
    int64_t integer;
} item;

typedef struct items {
    item *at;
    size_t count, cap;
    sx_buf out;
    sx_json_style style;
} items;

static void collect(items *list, input *in)
{
    sx_json r;
    start(in, &r, in->array);
    for (;;) {
        item it = {.token = sx_json_next(&r)};
        if (it.token == SX_JSON_DONE)
            return;
        must(it.token > SX_JSON_MORE, "collecting");
        if (it.token == SX_JSON_KEY || it.token == SX_JSON_STRING)
            must(sx_json_token_str(&r, &it.text), "collecting a string");
        if (it.token == SX_JSON_NUMBER) {
            sx_str raw = sx_json_token_raw(&r);
            it.whole = sx_str_find_byte(raw, '.') == raw.len;
            must(it.whole ? sx_json_token_i64(&r, &it.integer)
                          : sx_json_token_double(&r, &it.number),
                 "collecting a number");
        }
        must(sx_grow(&list->at, &list->cap, list->count + 1, sizeof(item)), "memory");
        list->at[list->count++] = it;
    }
}

static void write_item(sx_json_writer *w, const item *it)
{
    if (json_put_plain(w, it->token))
        return;
    if (it->token == SX_JSON_KEY)
        sx_json_key(w, it->text);
    else if (it->token == SX_JSON_STRING)
        sx_json_str(w, it->text);
    else if (it->whole)
        sx_json_i64(w, it->integer);
    else
        sx_json_double(w, it->number);
}

/* Of this process on a core, so that others on the machine count less. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *name, size_t bytes, double best)
{
    printf("%s %.0f MB/s\n", name, (double)bytes / best / 1e6);
}

static void measure(const char *name, input *in, sx_str text, pass_fn pass)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double from = seconds();
        pass(in, text);
        double took = seconds() - from;
        best = took < best ? took : best;
    }
    report(name, text.len, best);
}

static void measure_writer(const char *name, items *list, const sx_json_style *style)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        sx_json_writer w;
        double from = seconds();
        sx_buf_clear(&list->out);
        sx_json_writer_init(&w, &list->out, style);
        for (size_t j = 0; j < list->count; j++)
            write_item(&w, &list->at[j]);
        must(sx_json_writer_finish(&w, NULL) == SX_OK, "writing");
        double took = seconds() - from;
        best = took < best ? took : best;
    }
    report(name, list->out.len, best);
}

static void measure_strings(const char *name, sx_str text, sx_json_charset charset)
{
    double best = 1e9;
    sx_buf out;
    sx_buf_init(&out, 0);
    for (int i = 0; i < ROUNDS; i++) {
        double from = seconds();
        sx_buf_clear(&out);
        sx_json_quote(&out, text, charset);
        double took = seconds() - from;
        best = took < best ? took : best;
    }
    report(name, text.len, best);
    sx_buf_done(&out);
}

/* The file in memory, unpacked. */
static void load(const char *path, sx_buf *out)
{
    sx_error err = {0};
    sx_str chunk;
    sx_status status = SX_EIO;
    sx_packed_file *f = sx_packed_file_open(path, NULL, &err);
    while (f && (status = sx_packed_file_read(f, &chunk, &err)) == SX_OK)
        sx_buf_str(out, chunk);
    if (!f || status != SX_END) {
        fprintf(stderr, "bench_json: %s\n", err.message);
        exit(1);
    }
    sx_packed_file_close(f);
}

static void make_array(sx_str lines, sx_buf *out)
{
    sx_buf_byte(out, '[');
    while (lines.len) {
        sx_buf_str(out, take_line(&lines));
        if (lines.len)
            sx_buf_bytes(out, ",\n", 2);
    }
    sx_buf_byte(out, ']');
    must(!out->failed, "memory");
}

int main(int argc, char **argv)
{
    sx_buf lines, array;
    sx_arena arena;
    items list = {0};
    sx_buf_init(&lines, 0);
    sx_buf_init(&array, 0);
    sx_buf_init(&list.out, 0);
    sx_arena_init(&arena, 0, 0);
    const char *root = getenv("SX_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof(path), "%s/data/france.ndjson.gz", root ? root : ".");
    load(argc > 1 ? argv[1] : path, &lines);
    make_array(sx_buf_view(&lines), &array);
    input in = {.lines = sx_buf_view(&lines), .array = sx_buf_view(&array), .arena = &arena};

    measure("json_scan", &in, in.array, scan_only);
    measure("json_tokens_ndjson", &in, in.lines, pass_tokens);
    measure("json_tokens_array", &in, in.array, tokens_of);
    measure("json_fields_ndjson", &in, in.lines, pass_fields);
    measure("json_one_field_ndjson", &in, in.lines, pass_skip);
    measure("json_one_field_skip_fast_ndjson", &in, in.lines, pass_skip_fast);
    measure("json_skip_array", &in, in.array, skip_all);
    measure("json_skip_fast_array", &in, in.array, skip_all_fast);
    in.scan = json_scan_at(JSON_SCAN_SSE);
    if (in.scan)
        measure("json_tokens_ndjson_sse", &in, in.lines, pass_tokens);
    in.scan = json_scan_at(JSON_SCAN_SCALAR);
    measure("json_tokens_ndjson_scalar", &in, in.lines, pass_tokens);
    in.scan = NULL;

    collect(&list, &in);
    printf("json_tokens_in_file %zu count\n", list.count);
    measure_writer("json_write_compact", &list, NULL);
    measure_writer("json_write_python", &list,
                   &(sx_json_style){.spacing = SX_JSON_PYTHON_SPACING,
                                    .charset = SX_JSON_ASCII,
                                    .doubles = SX_DOUBLE_PYTHON});
    measure_strings("json_quote_utf8", in.lines, SX_JSON_UTF8);
    measure_strings("json_quote_ascii", in.lines, SX_JSON_ASCII);

    sx_free(list.at);
    sx_buf_done(&list.out);
    sx_arena_done(&arena);
    sx_buf_done(&array);
    sx_buf_done(&lines);
    return in.checksum == 0;
}
