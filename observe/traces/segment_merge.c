/* segment_merge.c - several segments into one.
 *
 * Groups of which no trace may be in another input are taken over as they are (segment_copy.c), the
 * others so: each input is read group by group from its start; the trace that began first is taken
 * next. A trace
 * that several inputs have belongs to the one in which it began first, which finds the other parts
 * by their index; when their turn comes they are passed over. Memory: the group under way of each
 * input whose time has come, some groups beside, a number for each text of each dictionary, the trace
 * that is being joined. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

typedef struct source { /* decoded rows, and what their texts are in the output */
    tr_decoded rows;
    tr_feed feed;
} source;

typedef struct input {
    tr_segment *segment;
    uint32_t *map; /* texts of its dictionary to those of the output */
    source now;    /* the group under way */
    uint64_t group;
    uint32_t trace; /* in the group */
    uint8_t *apart; /* of each group: it must be taken apart; 0: it is copied as it is */
    bool loaded; /* the group is in `now`: only once its time has come, as inputs mostly follow one
                       another, and a group takes megabytes */
    bool ended;
} input;

typedef struct placed { /* a row of a trace that is joined */
    uint64_t start_ns;
    source *of;
    uint32_t part, row;
    uint32_t input; /* number + 1 */
} placed;

/* A group that was looked into for parts of traces: those of the traces to come lie in the same. */
typedef struct nearby {
    source source;
    const input *in; /* NULL: free */
    uint64_t group, used;
    bool pinned; /* the trace at hand has rows of it */
} nearby;
enum { NEARBY = 8 }; /* kept from trace to trace; one trace may take more */

typedef struct merging {
    input *inputs;
    size_t count;
    tr_file file;
    tr_unpacker unpacker;
    sx_str *texts; /* the output's dictionary: views of the inputs' */
    uint32_t text_count;
    nearby **nearby;
    size_t nearby_count, nearby_cap;
    uint64_t uses;
    uint32_t part_count; /* of the trace that is joined */
    placed *placed;
    size_t placed_count, placed_cap;
    sx_error *err;
} merging;

static sx_str text_of(const void *ctx, uint32_t code)
{
    return tr_segment_text(ctx, code);
}

static void source_init(source *s)
{
    *s = (source){0};
    sx_arena_init(&s->rows.arena, TR_ARENA_CHUNK, 0);
}

static void source_done(source *s)
{
    sx_arena_done(&s->rows.arena);
    tr_feed_done(&s->feed);
}

static sx_status source_read(merging *m, source *s, const input *in, uint64_t group, uint32_t first,
                             uint32_t count)
{
    sx_status status = tr_group_decode(in->segment, group, first, count, TR_WANT_ALL, &m->unpacker,
                                       &s->rows, m->err);
    const tr_decoded *r = &s->rows;
    tr_feed *f = &s->feed;
    tr_feed_reset(f);
    f->rows = r->rows, f->cells = r->cells, f->events = r->events, f->links = r->links;
    f->resources = r->resources, f->scopes = r->scopes;
    f->resource_count = r->resource_count, f->scope_count = r->scope_count;
    f->map = in->map, f->map_count = in->segment->dict_count;
    f->locals = r->texts, f->local_count = (uint32_t)r->text_count;
    f->get = text_of, f->get_ctx = in->segment;
    return status;
}

/* --- Dictionaries: a merge of sorted lists. */

static sx_status open_dictionary(merging *m, input *in)
{
    const uint8_t *bytes;
    uint32_t n = in->segment->dict_count;
    in->map = sx_alloc(((size_t)n + 1) * sizeof *in->map);
    if (!in->map)
        return sx_fail_memory(m->err, "a merge of segments");
    memset(in->map, 0xff, (size_t)n * sizeof *in->map); /* TR_UNMAPPED */
    if (in->segment->info.groups)                       /* has the dictionary checked */
        return tr_segment_group(in->segment, 0, &bytes, m->err);
    return SX_OK;
}

/* Walks the union in order. `least` is how many inputs must have a text for it to be taken: with more
 * texts than a dictionary should have, those of one input stay with their groups. Returns how many. */
static size_t walk_dictionaries(merging *m, uint32_t *at, size_t least, bool take)
{
    size_t taken = 0;
    uint64_t bytes = 0;
    memset(at, 0, m->count * sizeof *at);
    for (;;) {
        sx_str text = {0};
        size_t have = 0;
        for (size_t i = 0; i < m->count; i++) {
            const tr_segment *s = m->inputs[i].segment;
            if (at[i] == s->dict_count || s->info.groups == 0)
                continue;
            sx_str t = tr_segment_text(s, at[i]);
            int order = have ? sx_str_cmp(t, text) : -1;
            if (order < 0)
                text = t, have = 1;
            else
                have += order == 0;
        }
        if (have == 0)
            return taken;
        bytes += text.len;
        bool in = have >= least && taken < TR_DICT_COUNT_MAX && bytes <= TR_DICT_BYTES_MAX;
        for (size_t i = 0; i < m->count; i++) {
            const tr_segment *s = m->inputs[i].segment;
            if (at[i] == s->dict_count || s->info.groups == 0 ||
                !sx_str_eq(tr_segment_text(s, at[i]), text))
                continue;
            if (in && take)
                m->inputs[i].map[at[i]] = (uint32_t)taken;
            at[i]++;
        }
        if (in && take)
            m->texts[taken] = text;
        taken += in;
    }
}

static sx_status merge_dictionaries(merging *m)
{
    sx_status status = SX_OK;
    uint32_t *at = sx_alloc((m->count + 1) * sizeof *at);
    for (size_t i = 0; i < m->count && status == SX_OK; i++)
        status = open_dictionary(m, &m->inputs[i]);
    if (status == SX_OK && at) {
        size_t least = 1, n = walk_dictionaries(m, at, 1, false);
        if (n >= TR_DICT_COUNT_MAX)
            n = walk_dictionaries(m, at, least = 2, false);
        m->texts = sx_alloc((n + 1) * sizeof *m->texts);
        if (m->texts)
            m->text_count = (uint32_t)walk_dictionaries(m, at, least, true);
    }
    sx_free(at);
    if (status == SX_OK && (!at || !m->texts))
        return sx_fail_memory(m->err, "a merge of segments");
    return status == SX_OK ? tr_file_dict(&m->file, m->texts, m->text_count, m->err) : status;
}

/* --- Cursors. */

static sx_status load_group(merging *m, input *in)
{
    const tr_segment *s = in->segment;
    sx_status status = source_read(m, &in->now, in, in->group, 0, s->groups[in->group].rows);
    in->loaded = status == SX_OK;
    in->trace = s->groups[in->group].goes_on ? 1 : 0; /* its beginning took the rest along */
    return status;
}

/* After the last trace of a group comes the next group. */
static void settle(input *in)
{
    if (in->trace < in->now.rows.trace_count)
        return;
    in->group++;
    in->loaded = false;
    in->ended = in->group == in->segment->info.groups;
    if (in->ended) {
        source_done(&in->now);
        source_init(&in->now);
    }
}

static const tr_row *front(const input *in)
{
    return &in->now.rows.rows[in->now.rows.trace_rows[in->trace]];
}

static input *first_loaded(merging *m)
{
    input *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        input *in = &m->inputs[i];
        if (in->ended || !in->loaded)
            continue;
        const tr_row *a = front(in), *b = best ? front(best) : NULL;
        if (!b || a->start_ns < b->start_ns ||
            (a->start_ns == b->start_ns && memcmp(a->trace_id, b->trace_id, 16) < 0))
            best = in;
    }
    return best;
}

/* Of the inputs with no group loaded the one that comes first, if it may have a trace before `start`. */
static input *first_due(merging *m, uint64_t start)
{
    input *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        input *in = &m->inputs[i];
        uint64_t begins = in->ended || in->loaded ? 0 : in->segment->groups[in->group].min_ns;
        if (in->ended || in->loaded || begins > start)
            continue;
        if (!best || begins < best->segment->groups[best->group].min_ns)
            best = in;
    }
    return best;
}

/* The group at hand and those that go on with its last trace, as they are. */
static sx_status copy_groups(merging *m, input *in)
{
    const tr_segment *s = in->segment;
    sx_status status;
    do {
        status = tr_file_group(&m->file, s, in->group++, in->map, &m->unpacker, m->err);
    } while (status == SX_OK && in->group < s->info.groups && s->groups[in->group].goes_on);
    in->ended = in->group == s->info.groups;
    return status;
}

/* The input with the trace that began first; NULL: all have ended. Groups that may have an earlier one
 * are copied or loaded first. */
static sx_status pick(merging *m, input **out)
{
    for (;;) {
        *out = first_loaded(m);
        input *in = first_due(m, *out ? front(*out)->start_ns : UINT64_MAX);
        if (!in)
            return SX_OK;
        sx_status status = in->apart[in->group] ? load_group(m, in) : copy_groups(m, in);
        if (status != SX_OK)
            return status;
        if (in->loaded)
            settle(in);
    }
}

/* --- Traces. */

typedef struct trace_facts {
    uint64_t newest_ns, longest_ns;
    bool error;
} trace_facts;

static void look_at(trace_facts *f, const tr_row *r)
{
    uint64_t d = r->end_ns > r->start_ns ? r->end_ns - r->start_ns : 0;
    f->newest_ns = r->start_ns > f->newest_ns ? r->start_ns : f->newest_ns;
    f->longest_ns = d > f->longest_ns ? d : f->longest_ns;
    f->error |= r->status == SPAN_ERROR;
}

static bool keep(const merging *m, const uint8_t trace_id[16], const trace_facts *f)
{
    const tr_write_options *o = m->file.options;
    return !o->keep || o->keep(o->keep_ctx, trace_id, f->newest_ns, f->longest_ns, f->error);
}

/* The usual case: all of it lies in one group of one input. */
static sx_status copy_trace(merging *m, input *in, uint32_t first, uint32_t end)
{
    const tr_row *rows = in->now.rows.rows;
    sx_status status = SX_OK;
    if (m->file.options->keep) {
        trace_facts f = {0};
        for (uint32_t i = first; i < end; i++)
            look_at(&f, &rows[i]);
        if (!keep(m, rows[first].trace_id, &f))
            return SX_OK;
    }
    for (uint32_t i = first; i < end && status == SX_OK; i++)
        status = tr_file_row(&m->file, &in->now.feed, i, m->err);
    return status;
}

static void nearby_free(nearby *n)
{
    source_done(&n->source);
    sx_free(n);
}

/* The place for one group more: the one that was not used for longest, or a new one. */
static nearby *nearby_place(merging *m)
{
    nearby *oldest = NULL;
    for (size_t i = 0; i < m->nearby_count; i++)
        if (!m->nearby[i]->pinned && (!oldest || m->nearby[i]->used < oldest->used))
            oldest = m->nearby[i];
    if (oldest && m->nearby_count >= NEARBY)
        return oldest;
    if (!sx_grow(&m->nearby, &m->nearby_cap, m->nearby_count + 1, sizeof *m->nearby))
        return NULL;
    nearby *n = sx_calloc(1, sizeof *n);
    if (!n)
        return NULL;
    source_init(&n->source);
    m->nearby[m->nearby_count++] = n;
    return n;
}

/* A group of an input, decoded; good until the trace at hand is done with. */
static sx_status group_at(merging *m, input *in, uint64_t group, source **out)
{
    if (in->loaded && in->group == group) {
        *out = &in->now;
        return SX_OK;
    }
    nearby *n = NULL;
    for (size_t i = 0; i < m->nearby_count && !n; i++)
        if (m->nearby[i]->in == in && m->nearby[i]->group == group)
            n = m->nearby[i];
    sx_status status = SX_OK;
    if (!n) {
        n = nearby_place(m);
        if (!n)
            return sx_fail_memory(m->err, "a merge of segments");
        n->in = NULL;
        status = source_read(m, &n->source, in, group, 0, in->segment->groups[group].rows);
        if (status == SX_OK)
            n->in = in;
        n->group = group;
    }
    n->pinned = true;
    n->used = ++m->uses;
    *out = &n->source;
    return status;
}

static void unpin(merging *m)
{
    for (size_t i = 0; i < m->nearby_count; i++)
        m->nearby[i]->pinned = false;
    while (m->nearby_count > NEARBY)
        nearby_free(m->nearby[--m->nearby_count]);
}

static sx_status add_part(merging *m, input *in, uint64_t group, uint32_t first, uint32_t count)
{
    source *s;
    sx_status status = group_at(m, in, group, &s);
    if (status != SX_OK)
        return status;
    if (!sx_grow(&m->placed, &m->placed_cap, m->placed_count + count, sizeof *m->placed))
        return sx_fail_memory(m->err, "a merge of segments");
    for (uint32_t i = first; i < first + count; i++)
        m->placed[m->placed_count++] =
            (placed){s->rows.rows[i].start_ns, s, m->part_count, i, (uint32_t)(in - m->inputs) + 1};
    m->part_count++;
    return SX_OK;
}

static sx_status add_parts(merging *m, input *in, uint64_t first, uint64_t count)
{
    sx_status status = SX_OK;
    for (uint64_t g = tr_segment_group_of(in->segment, first); count && status == SX_OK; g++) {
        const tr_summary *sum = &in->segment->groups[g];
        uint32_t from = (uint32_t)(first - sum->first_row);
        uint32_t n = count < sum->rows - from ? (uint32_t)count : sum->rows - from;
        status = add_part(m, in, g, from, n);
        first += n;
        count -= n;
    }
    return status;
}

static int by_start(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static sx_status write_parts(merging *m)
{
    trace_facts f = {0};
    sx_status status = SX_OK;
    if (m->placed_count == 0)
        return SX_OK;
    qsort(m->placed, m->placed_count, sizeof *m->placed, by_start);
    for (size_t i = 0; i < m->placed_count; i++)
        look_at(&f, &m->placed[i].of->rows.rows[m->placed[i].row]);
    if (!keep(m, m->placed[0].of->rows.rows[m->placed[0].row].trace_id, &f))
        return SX_OK;
    bool several = false;
    for (size_t i = 1; i < m->placed_count; i++)
        several |= m->placed[i].input != m->placed[0].input;
    for (size_t i = 0; i < m->placed_count && status == SX_OK; i++) {
        tr_side_part(m->file.side, several ? m->placed[i].input : 0);
        status = tr_file_row(&m->file, &m->placed[i].of->feed, m->placed[i].row, m->err);
    }
    tr_side_part(m->file.side, 0);
    return status;
}

/* Whether the part of `other` begins before (then the trace has been written already). */
static sx_status begins_before(merging *m, const input *in, input *other, uint64_t first,
                               bool *before)
{
    uint64_t group = tr_segment_group_of(other->segment, first);
    source *s;
    sx_status status = group_at(m, other, group, &s);
    if (status == SX_OK) {
        uint64_t a = s->rows.rows[first - other->segment->groups[group].first_row].start_ns;
        uint64_t b = front(in)->start_ns;
        *before = a < b || (a == b && other < in);
    }
    return status;
}

/* A trace that nobody else has and that goes on in the groups behind, as the last one of nearly every
 * group does: its rows are in order, so they are copied as the groups are loaded. If its first part is
 * young enough all of it is. *done false: it takes the whole trace to say so. */
static sx_status copy_through(merging *m, input *in, uint32_t first, bool *done)
{
    const tr_segment *s = in->segment;
    trace_facts f = {0};
    sx_status status = SX_OK;
    for (uint32_t i = first; i < in->now.rows.count; i++)
        look_at(&f, &in->now.rows.rows[i]);
    *done = keep(m, in->now.rows.rows[first].trace_id, &f);
    for (uint32_t i = first; *done && i < in->now.rows.count && status == SX_OK; i++)
        status = tr_file_row(&m->file, &in->now.feed, i, m->err);
    while (*done && status == SX_OK && in->group + 1 < s->info.groups &&
           s->groups[in->group + 1].goes_on) {
        in->group++;
        status = load_group(m, in);
        for (uint32_t i = 0; status == SX_OK && i < in->now.rows.trace_rows[1]; i++)
            status = tr_file_row(&m->file, &in->now.feed, i, m->err);
        in->trace = 0; /* the one that was copied */
        if (status == SX_OK && in->now.rows.trace_count > 1)
            break;
    }
    return status;
}

/* The next trace of an input, with what the others have of it. */
static sx_status take_trace(merging *m, input *in)
{
    const tr_decoded *r = &in->now.rows;
    const tr_segment *s = in->segment;
    uint32_t first = r->trace_rows[in->trace], end = r->trace_rows[in->trace + 1];
    const uint8_t *id = r->rows[first].trace_id;
    bool reaches_on =
        end == r->count && in->group + 1 < s->info.groups && s->groups[in->group + 1].goes_on;
    bool joined = false, done = false;
    sx_status status = SX_OK;
    m->part_count = m->placed_count = 0;
    for (size_t i = 0; i < m->count && status == SX_OK && !done; i++) {
        input *other = &m->inputs[i];
        uint64_t there, count;
        if (other == in)
            continue;
        status = tr_segment_find(other->segment, id, &there, &count, m->err);
        if (status != SX_OK || count == 0)
            continue;
        joined = true;
        status = begins_before(m, in, other, there, &done);
        if (status == SX_OK && !done)
            status = add_parts(m, other, there, count);
    }
    if (status == SX_OK && reaches_on && !joined) {
        status = copy_through(m, in, first, &done);
        joined = !done;
    }
    if (status == SX_OK && !done) {
        if (joined) {
            uint64_t there, count;
            status = tr_segment_find(s, id, &there, &count, m->err);
            if (status == SX_OK)
                status = add_parts(m, in, there, count);
            if (status == SX_OK)
                status = write_parts(m);
        } else {
            status = copy_trace(m, in, first, end);
        }
    }
    unpin(m);
    in->trace++;
    return status;
}

static void merging_done(merging *m)
{
    for (size_t i = 0; m->inputs && i < m->count; i++) {
        source_done(&m->inputs[i].now);
        sx_free(m->inputs[i].map);
        sx_free(m->inputs[i].apart);
    }
    for (size_t i = 0; i < m->nearby_count; i++)
        nearby_free(m->nearby[i]);
    sx_free(m->inputs);
    sx_free(m->nearby);
    sx_free(m->placed);
    sx_free(m->texts);
    tr_unpacker_done(&m->unpacker);
}

/* --- What is copied. */

/* Groups are copied together with those that go on with their last trace. Small ones are not, or there
 * would be more and more of them. */
static size_t spread_marks(const tr_segment *s, uint32_t least, uint8_t *apart)
{
    size_t copied = 0;
    for (uint64_t g = 0, end; g < s->info.groups; g = end) {
        uint64_t rows = 0;
        bool marked = false;
        for (end = g; end == g || (end < s->info.groups && s->groups[end].goes_on); end++) {
            rows += s->groups[end].rows;
            marked |= apart[end] != 0;
        }
        marked |= rows < (end - g) * least;
        memset(apart + g, marked, end - g);
        copied += marked ? 0 : end - g;
    }
    return copied;
}

/* All is taken apart where traces may be left out, as the tables are counted anew then. */
static bool keeps_all(const merging *m)
{
    static const uint8_t ANY[16];
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < m->count; i++)
        if (m->inputs[i].segment->info.min_ns < oldest)
            oldest = m->inputs[i].segment->info.min_ns;
    return keep(m, ANY, &(trace_facts){.newest_ns = oldest});
}

static sx_status mark_groups(merging *m, tr_segment *const *segments, uint8_t **marks)
{
    sx_status status = SX_OK;
    size_t copied = 0;
    bool copies = keeps_all(m);
    uint32_t least = m->file.options->copy_least ? m->file.options->copy_least : TR_GROUP_ROWS / 2;
    for (size_t i = 0; i < m->count; i++) {
        input *in = &m->inputs[i];
        uint64_t groups = segments[i]->info.groups;
        marks[i] = in->apart = sx_calloc(groups + 1, 1);
        if (!in->apart)
            return sx_fail_memory(m->err, "a merge of segments");
        bool whole = copies; /* all its texts are in the dictionary */
        for (uint32_t t = 0; t < segments[i]->dict_count && whole; t++)
            whole = in->map[t] != TR_UNMAPPED;
        memset(in->apart, !whole, groups);
    }
    if (copies)
        status = tr_copy_find_shared(segments, m->count, marks, m->err);
    for (size_t i = 0; i < m->count; i++)
        copied += spread_marks(segments[i], least, marks[i]);
    if (status == SX_OK && copied)
        status = tr_copy_sides(segments, m->count, marks, &m->file, &copies, m->err);
    for (size_t i = 0; i < m->count && !copies; i++)
        memset(marks[i], 1, segments[i]->info.groups);
    return status;
}

static sx_status choose_copied(merging *m, tr_segment *const *segments)
{
    uint8_t **marks = sx_alloc((m->count + 1) * sizeof *marks);
    sx_status status =
        marks ? mark_groups(m, segments, marks) : sx_fail_memory(m->err, "a merge of segments");
    sx_free(marks);
    return status;
}

sx_status tr_segment_merge(const char *path, tr_segment *const *inputs, size_t count,
                           const tr_write_options *options, tr_segment_info *info, sx_error *err)
{
    static const tr_write_options PLAIN = {0};
    merging m = {.count = count, .err = err};
    sx_status status = tr_file_open(&m.file, path, options ? options : &PLAIN, err);
    m.inputs = sx_calloc(count + 1, sizeof *m.inputs);
    if (status == SX_OK && !m.inputs)
        status = sx_fail_memory(err, "a merge of segments");
    for (size_t i = 0; m.inputs && i < count; i++) {
        m.inputs[i].segment = inputs[i];
        m.inputs[i].ended = inputs[i]->info.groups == 0;
        source_init(&m.inputs[i].now);
    }
    if (status == SX_OK)
        status = merge_dictionaries(&m);
    if (status == SX_OK)
        status = choose_copied(&m, inputs);
    while (status == SX_OK) {
        input *in;
        status = pick(&m, &in);
        if (status != SX_OK || !in)
            break;
        status = take_trace(&m, in);
        if (status == SX_OK)
            settle(in);
    }
    if (status == SX_OK)
        status = tr_file_commit(&m.file, info, err);
    tr_file_abandon(&m.file);
    merging_done(&m);
    return status;
}
