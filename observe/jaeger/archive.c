/* archive.c - traces that somebody asked to keep beyond the store's retention. See archive.h. */
#include "observe/jaeger/archive.h"

sx_status jaeger_read(tr_store *store, const jaeger_archive *archive, const jaeger_which *which,
                      const tr_limits *limits, span_batch *out, bool *partial, sx_error *err)
{
    tr_store *archived = NULL;
    sx_status status = tr_store_trace(store, which->trace_id, which->min_ns, which->max_ns, limits,
                                      out, partial, err);
    if (status == SX_OK && out->count == 0 && archive->open)
        status = archive->open(archive->ctx, false, &archived, err);
    if (status == SX_OK && archived)
        status = tr_store_trace(archived, which->trace_id, which->min_ns, which->max_ns, limits,
                                out, partial, err);
    return status;
}

sx_status jaeger_keep(const jaeger_archive *archive, span_batch *trace, const tr_limits *limits,
                      sx_error *err)
{
    tr_store *to = NULL;
    span_batch *there = span_batch_new(0);
    sx_status status = there ? SX_OK : sx_fail_memory(err, "archiving a trace");
    if (status == SX_OK && archive->open)
        status = archive->open(archive->ctx, true, &to, err);
    if (status == SX_OK && !to)
        status = sx_fail(err, SX_EUNSUPPORTED, "archive span storage was not configured");
    if (status == SX_OK)
        status = tr_store_trace(to, trace->spans[0]->trace_id, 0, 0, limits, there, NULL, err);
    if (status == SX_OK && there->count != trace->count) /* what is there twice is shown once */
        status = tr_store_append(to, trace, err);
    span_batch_unref(there);
    return status;
}
