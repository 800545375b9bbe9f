/* dash_search.c - GET /api/search and what goes with it: over the index of heads. */
#include <stdlib.h>

#include "observe/api/dash.h"

enum { LIMIT_DEFAULT = 1000, LIMIT_MOST = 5000, WORDS_MAX = 16, LISTED_MAX = 1000 };

typedef struct list {
    const sx_str *items;
    size_t count;
} list;

typedef struct numbers {
    int64_t *items;
    size_t count;
} numbers;

typedef struct filter {
    sx_str words[WORDS_MAX]; /* without case; each must be in the title; of more the first count */
    size_t word_count;
    list tags, uids, folders, stars;
    numbers ids, folder_ids;
    bool dashboards, kinds_folders, only_starred;
    const dash_index *index;
} filter;

/* ---- reading the question ---- */

/* All values of a parameter, also those with commas between. */
static bool read_list(api_call *c, const char *name, list *out)
{
    sx_str *given, *items = NULL, rest, one;
    size_t given_count = 0, cap = 0;
    sx_error err = {0};
    if (api_form_all(&c->form, name, &c->arena, &given, &given_count, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return false;
    }
    for (size_t i = 0; i < given_count; i++)
        for (rest = given[i]; rest.len; out->count++) {
            sx_str_cut(rest, ',', &one, &rest);
            if (out->count == LISTED_MAX) {
                dash_message(c, 400, SX_STR("more than 1000 values of a parameter"));
                return false;
            }
            if (!sx_arena_grow(&c->arena, &items, &cap, out->count + 1, sizeof *items)) {
                dash_message(c, 500, SX_STR("out of memory"));
                return false;
            }
            items[out->count] = one;
        }
    out->items = items;
    return true;
}

/* The same of numbers; one that is none is nobody's. */
static bool read_numbers(api_call *c, const char *name, numbers *out)
{
    list given = {0};
    if (!read_list(c, name, &given))
        return false;
    out->items = sx_arena_calloc(&c->arena, given.count + 1, sizeof *out->items);
    out->count = out->items ? given.count : 0;
    for (size_t i = 0; i < out->count; i++)
        if (!sx_str_to_i64(given.items[i], &out->items[i]))
            out->items[i] = -1;
    if (!out->items)
        dash_message(c, 500, SX_STR("out of memory"));
    return out->items;
}

static bool read_words(api_call *c, filter *f)
{
    sx_str query = api_form_address(&c->form, "query"), word;
    sx_str low = dash_lower(query, &c->arena);
    for (sx_str rest = low; rest.len && f->word_count < WORDS_MAX;) {
        sx_str_cut(rest, ' ', &word, &rest);
        if (word.len)
            f->words[f->word_count++] = word;
    }
    return low.data;
}

static bool read_filter(api_call *c, filter *f)
{
    const struct {
        const char *name;
        list *to;
    } LISTS[] = {{"tag", &f->tags},
                 {"dashboardUIDs", &f->uids},
                 {"dashboardUID", &f->uids},
                 {"folderUIDs", &f->folders}};
    for (size_t i = 0; i < SX_COUNT_OF(LISTS); i++)
        if (!LISTS[i].to->count && !read_list(c, LISTS[i].name, LISTS[i].to))
            return false;
    if (!read_numbers(c, "dashboardIds", &f->ids) || !read_numbers(c, "folderIds", &f->folder_ids))
        return false;
    sx_str type = api_form_address(&c->form, "type");
    f->dashboards = !sx_str_eq(type, SX_STR("dash-folder"));
    f->kinds_folders = !sx_str_eq(type, SX_STR("dash-db"));
    (void)api_bool_read(api_form_address(&c->form, "starred"), &f->only_starred);
    if (read_words(c, f))
        return true;
    dash_message(c, 500, SX_STR("out of memory"));
    return false;
}

/* ---- matching ---- */

static bool has(const list *l, sx_str what)
{
    for (size_t i = 0; i < l->count; i++)
        if (sx_str_eq(l->items[i], what))
            return true;
    return false;
}

static bool has_number(const numbers *l, int64_t what)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] == what)
            return true;
    return false;
}

static bool is_starred(const filter *f, const dash_item *item)
{
    size_t from = 0, to = f->stars.count; /* they are sorted */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = sx_str_cmp(f->stars.items[middle], item->uid);
        if (order == 0)
            return true;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

static bool lies_in(const filter *f, const dash_item *item)
{
    if (f->folders.count && !has(&f->folders, item->folder.len ? item->folder : SX_STR("general")))
        return false;
    if (!f->folder_ids.count)
        return true;
    const dash_item *folder = item->folder.len ? dash_index_find(f->index, item->folder) : NULL;
    return has_number(&f->folder_ids, folder ? folder->id : 0);
}

static bool fits(const filter *f, const dash_item *item, sx_str lower)
{
    if (item->is_folder ? !f->kinds_folders : !f->dashboards)
        return false;
    for (size_t i = 0; i < f->word_count; i++)
        if (sx_str_find(lower, f->words[i]) == lower.len)
            return false;
    const list own = {item->tags, item->tag_count};
    for (size_t i = 0; i < f->tags.count; i++)
        if (!has(&own, f->tags.items[i]))
            return false;
    if ((f->uids.count && !has(&f->uids, item->uid)) ||
        (f->ids.count && !has_number(&f->ids, item->id)) ||
        (f->only_starred && !is_starred(f, item)))
        return false;
    return lies_in(f, item);
}

/* ---- the answer ---- */

static void put_hit(sx_json_writer *w, api_call *c, const filter *f, const dash_item *item)
{
    const dash_item *folder = item->folder.len ? dash_index_find(f->index, item->folder) : NULL;
    sx_json_begin_object(w);
    key_i64(w, "id", item->id);
    key_i64(w, "orgId", 1);
    key_str(w, "uid", item->uid);
    key_str(w, "title", item->title);
    sx_str uri = sx_arena_printf(&c->arena, "db/%.*s", SX_ARG(item->slug));
    key_str(w, "uri", uri);
    dash_put_url(w, c, "url", item);
    key_str(w, "slug", SX_STR(""));
    key_str(w, "type", item->is_folder ? SX_STR("dash-folder") : SX_STR("dash-db"));
    dash_put_strs(w, "tags", item->tags, item->tag_count);
    key_bool(w, "isStarred", is_starred(f, item));
    if (item->provider.len)
        key_bool(w, "provisioned", true); /* ours: the list marks what comes from files */
    if (item->description.len)
        key_str(w, "description", item->description);
    if (folder) {
        key_i64(w, "folderId", folder->id);
        key_str(w, "folderUid", folder->uid);
        key_str(w, "folderTitle", folder->title);
        dash_put_url(w, c, "folderUrl", folder);
    }
    key_i64(w, "sortMeta", 0);
    key_bool(w, "isDeleted", false);
    sx_json_end_object(w);
}

static void answer(api_call *c, const filter *f, int64_t limit, int64_t page)
{
    const dash_index *index = f->index;
    bool down = sx_str_eq(api_form_address(&c->form, "sort"), SX_STR("alpha-desc"));
    int64_t skip = (page - 1) * limit;
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t n = 0; n < index->count && limit > 0; n++) {
        uint32_t i = index->by_title[down ? index->count - 1 - n : n];
        if (!fits(f, &index->items[i], index->lower[i]) || skip-- > 0)
            continue;
        put_hit(&w, c, f, &index->items[i]);
        limit--;
    }
    sx_json_end_array(&w);
}

void dash_http_search(api_call *c)
{
    filter f = {0};
    dash_index *index;
    sx_str *stars = NULL;
    sx_error err = {0};
    int64_t limit = dash_param_i64(c, "limit", LIMIT_DEFAULT), page = dash_param_i64(c, "page", 1);
    if (limit > LIMIT_MOST) {
        dash_message(c, 422,
                     SX_STR("Limit is above maximum allowed (5000), use page parameter to access "
                            "hits beyond limit"));
        return;
    }
    if (!read_filter(c, &f))
        return;
    limit = limit ? limit : LIMIT_DEFAULT;
    page = page < 1 ? 1 : page > 1000000 ? 1000000 : page;
    if (dash_stars(c->api->dashboards, dash_login(c), &c->arena, &stars, &f.stars.count, &err) !=
            SX_OK ||
        dash_index_get(c->api->dashboards, &index, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    f.stars.items = stars;
    f.index = index;
    answer(c, &f, limit, page);
    dash_index_unref(index);
}

void dash_http_sorting(api_call *c)
{
    static const char *const ROWS[][3] = {{"alpha-asc", "Alphabetically (A\xe2\x80\x93Z)",
                                           "Sort results in an alphabetically ascending order"},
                                          {"alpha-desc", "Alphabetically (Z\xe2\x80\x93\x41)",
                                           "Sort results in an alphabetically descending order"}};
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("sortOptions"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_json_begin_object(&w);
        key_str(&w, "name", sx_str_z(ROWS[i][0]));
        key_str(&w, "displayName", sx_str_z(ROWS[i][1]));
        key_str(&w, "description", sx_str_z(ROWS[i][2]));
        key_str(&w, "meta", SX_STR(""));
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
}

/* ---- tags ---- */

static int by_text(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

/* All tags of all, sorted. */
static sx_str *gather_tags(const dash_index *index, sx_arena *arena, size_t *count)
{
    size_t n = 0;
    for (size_t i = 0; i < index->count; i++)
        n += index->items[i].tag_count;
    sx_str *out = sx_arena_alloc(arena, (n + 1) * sizeof *out);
    *count = 0;
    for (size_t i = 0; out && i < index->count; i++)
        for (size_t k = 0; k < index->items[i].tag_count; k++)
            out[(*count)++] = index->items[i].tags[k];
    if (out)
        qsort(out, *count, sizeof *out, by_text);
    return out;
}

void dash_http_tags(api_call *c)
{
    dash_index *index;
    sx_error err = {0};
    size_t count, same;
    sx_json_writer w;
    if (dash_index_get(c->api->dashboards, &index, &err) != SX_OK) {
        dash_fail_store(c, &err);
        return;
    }
    sx_str *tags = gather_tags(index, &c->arena, &count);
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t i = 0; tags && i < count; i += same) {
        for (same = 1; i + same < count && sx_str_eq(tags[i], tags[i + same]); same++)
            ;
        sx_json_begin_object(&w);
        key_str(&w, "term", tags[i]);
        key_i64(&w, "count", (int64_t)same);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    dash_index_unref(index);
    if (!tags)
        dash_message(c, 500, SX_STR("out of memory"));
}
