/* accept.c - the most specific range of an Accept field that matches a media type. */
#include "net/accept.h"

#include "codec/qvalue.h"

/* How exactly a range names a type: 3 by name, 2 by its first half, 1 by any, 0 not at all. */
static int specificity(sx_str range, sx_str media_type)
{
    sx_str range_type, range_sub, type, sub;
    if (sx_str_ieq(range, media_type))
        return 3;
    if (!sx_str_cut(range, '/', &range_type, &range_sub) || !sx_str_eq(range_sub, SX_STR("*")))
        return 0;
    sx_str_cut(media_type, '/', &type, &sub);
    if (sx_str_ieq(range_type, type))
        return 2;
    return sx_str_eq(range_type, SX_STR("*")) ? 1 : 0;
}

int sx_accept_quality(sx_str accept, sx_str media_type)
{
    int best = 0, quality = accept.data ? 0 : SX_Q_MOST;
    sx_str member, range, params;
    while (accept.len) {
        sx_str_cut(accept, ',', &member, &accept);
        sx_str_cut(member, ';', &range, &params);
        int weight = sx_qvalue_of(params);
        int exact = specificity(sx_str_trim(range), media_type);
        if (weight != SX_Q_ABSENT && exact > best) {
            best = exact;
            quality = weight;
        }
    }
    return quality;
}
