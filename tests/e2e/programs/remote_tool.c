/* remote_tool.c - the receivers of observe/remote without a server around them, for the tests that put
 * Prometheus beside them.
 *
 *   remote_tool otlp CONFIG DIR BODY...     takes OTLP requests (NAME.json, others protobuf) into the
 *                                           database in DIR, and prints every series
 *   remote_tool write1|write2 CONFIG DIR BODY...   the same with remote write's compressed bodies
 *   remote_tool read CONFIG DIR BODY        answers a remote read request: "streamed" or "samples" and
 *                                           the body on standard output
 *   remote_tool dump CONFIG DIR             prints every series */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/file.h>

#include "observe/remote/remote.h"
#include "observe/tsdb/db.h"

static void check(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "remote_tool: %s\n", err->message);
    exit(1);
}

static sx_str read_whole(const char *path, sx_buf *out)
{
    FILE *f = fopen(path, "rb");
    size_t got;
    sx_buf_clear(out);
    if (!f) {
        perror(path);
        exit(1);
    }
    do {
        char *at = sx_buf_reserve(out, 65536);
        got = at ? fread(at, 1, 65536, f) : 0;
        out->len += got;
    } while (got);
    fclose(f);
    return sx_buf_view(out);
}

static void print_series(tsdb_querier *q, const tsdb_series *s)
{
    sx_error err;
    sx_buf line;
    sx_arena arena;
    tsdb_columns c;
    sx_buf_init(&line, 0);
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    tsdb_labels_print(s->labels, &line, NULL);
    check(q->ops->read(q, s, INT64_MIN, INT64_MAX, &c, &err), &err);
    for (size_t i = 0; i < c.count; i++) {
        sx_buf_printf(&line, " %lld ", (long long)c.t[i]);
        if (c.h && c.h[i])
            tsdb_histogram_print(c.h[i], &line, NULL);
        else if (tsdb_is_stale(c.v[i]))
            sx_buf_str(&line, SX_STR("stale"));
        else
            sx_buf_printf(&line, "%.17g", c.v[i]);
    }
    printf("%.*s\n", SX_ARG(sx_buf_view(&line)));
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    sx_buf_done(&line);
}

static void dump(tsdb *db)
{
    tsdb_queryable *store = tsdb_queryable_of(db);
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_matcher m;
    sx_error err;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    check(store->querier(store, INT64_MIN, INT64_MAX, &q, &err), &err);
    check(tsdb_matcher_init(&m, TSDB_MATCH_NOT_EQUAL, TSDB_METRIC_NAME, SX_STR(""), &err), &err);
    check(q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err), &err);
    for (size_t i = 0; i < found.count; i++)
        print_series(q, &found.items[i]);
    tsdb_matcher_done(&m);
    q->ops->free(q);
    sx_arena_done(&arena);
}

static void take(tsdb *db, const prom_config *config, sx_str kind, char **bodies, int count)
{
    sx_buf body, messages;
    sx_error err;
    remote_writer *w;
    sx_buf_init(&body, 0);
    sx_buf_init(&messages, 0);
    check(remote_writer_new(tsdb_appendable_of(db), NULL, &w, &err), &err);
    for (int i = 0; i < count; i++) {
        sx_str bytes = read_whole(bodies[i], &body);
        if (sx_str_eq(kind, SX_STR("otlp"))) {
            remote_otlp_result out = {.message = &messages};
            bool json = sx_str_ends(sx_str_z(bodies[i]), SX_STR(".json"));
            check(remote_otlp_metrics(w, &config->otlp, bytes, json, &out, &err), &err);
        } else {
            remote_written out = {.messages = &messages};
            bool v2 = sx_str_ends(kind, SX_STR("2"));
            check((v2 ? remote_write_v2 : remote_write_v1)(w, bytes, &out, &err), &err);
        }
        if (messages.len)
            fprintf(stderr, "%.*s\n", SX_ARG(sx_buf_view(&messages)));
        sx_buf_clear(&messages);
    }
    remote_writer_free(w);
    sx_buf_done(&body);
    sx_buf_done(&messages);
}

static bool to_stdout(void *ctx, sx_str piece)
{
    bool *named = ctx;
    if (!named[1])
        printf("%s\n", named[0] ? "streamed" : "samples");
    named[1] = true;
    return fwrite(piece.data, 1, piece.len, stdout) == piece.len;
}

static void answer(tsdb *db, const prom_config *config, const char *path)
{
    sx_buf body;
    sx_error err;
    bool named[2] = {false, false}; /* streamed, begun */
    sx_buf_init(&body, 0);
    remote_read_options options = {.external_labels = config->external_labels};
    check(remote_read(tsdb_queryable_of(db), &options, read_whole(path, &body), &named[0],
                      to_stdout, named, &err),
          &err);
    if (!named[1])
        printf("%s\n", named[0] ? "streamed" : "samples");
    sx_buf_done(&body);
}

int main(int argc, char **argv)
{
    sx_error err;
    sx_buf problems;
    prom_config *config;
    tsdb *db;
    if (argc < 4) {
        fprintf(stderr, "usage: remote_tool otlp|write1|write2|read|dump CONFIG DIR [BODY...]\n");
        return 2;
    }
    sx_str kind = sx_str_z(argv[1]);
    sx_buf_init(&problems, 0);
    check(prom_config_load(argv[2], &(prom_config_options){0}, &config, &problems, &err), &err);
    tsdb_options options = {.retention_ms = INT64_MAX};
    check(tsdb_open(argv[3], &options, &db, &err), &err);
    if (sx_str_eq(kind, SX_STR("read"))) {
        answer(db, config, argv[4]);
    } else {
        take(db, config, kind, argv + 4, argc - 4);
        dump(db);
    }
    tsdb_close(db);
    prom_config_unref(config);
    sx_buf_done(&problems);
    return 0;
}
