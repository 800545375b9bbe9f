/* fuzz_nominatim_params.c - whatever stands in a query string is read within its bounds by every endpoint of
 * Nominatim's API, or refused with words and a status. Values are not decoded: they are any bytes. */
#include "geocode/nominatim/params.h"
#include "geocode/text/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const nom_refusal *r)
{
    sx_assert(r->status == 400 && r->message[0] != '\0');
}

static void check_search(const nom_search_params *p)
{
    const nom_search_query *q = &p->query;
    sx_assert(q->limit >= 1 && q->limit <= 50);
    sx_assert(!q->has_viewbox ||
              (q->viewbox.lon_min < q->viewbox.lon_max && q->viewbox.lat_min < q->viewbox.lat_max));
    sx_assert(q->viewbox.lon_min >= -1800000000 && q->viewbox.lon_max <= 1800000000);
    sx_assert(q->viewbox.lat_min >= -900000000 && q->viewbox.lat_max <= 900000000);
    sx_assert(q->excluded_count + q->excluded_object_count == p->excluded_count);
    sx_assert(q->rank_min <= q->rank_max);
}

/* "a=b&c=d" */
static void read_request(sx_str rest, nom_request *out)
{
    sx_str pair, name, value;
    *out = (nom_request){0};
    for (bool more = rest.len > 0; more;) {
        more = sx_str_cut(rest, '&', &pair, &rest);
        if (!sx_str_cut(pair, '=', &name, &value))
            value = SX_STR("");
        nom_param p = nom_param_of(name);
        if (p < NOM_PARAMS)
            out->values[p] = value;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const nom_limits LIMITS = {.lookup_max = 50};
    nom_request request;
    nom_search_params search;
    nom_reverse_params reverse;
    nom_lookup_params lookup;
    nom_details_params details;
    nom_refusal refusal;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    read_request(sx_str_of(data, size), &request);
    if (nom_search_read(&request, &arena, &search, &refusal))
        check_search(&search);
    else
        check_refusal(&refusal);
    if (nom_reverse_read(&request, &reverse, &refusal))
        sx_assert(reverse.query.rank_max >= 2 && reverse.query.rank_max <= 30);
    else
        check_refusal(&refusal);
    if (nom_lookup_read(&request, &LIMITS, &arena, &lookup, &refusal))
        sx_assert(lookup.count <= LIMITS.lookup_max);
    else
        check_refusal(&refusal);
    if (!nom_details_read(&request, &details, &refusal))
        check_refusal(&refusal);
    (void)nom_callback_valid(sx_str_of(data, size));
    sx_arena_done(&arena);
    return 0;
}
