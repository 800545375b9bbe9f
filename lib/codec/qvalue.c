/* qvalue.c - one weight out of a member's parameters. */
#include "codec/qvalue.h"

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ), section 12.4.2. */
static int read_qvalue(sx_str text)
{
    if (text.len == 0 || text.len > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
        (text.len > 1 && text.data[1] != '.'))
        return SX_Q_ABSENT;
    int q = (text.data[0] - '0') * 1000, unit = 100;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return SX_Q_ABSENT;
        q += (text.data[i] - '0') * unit;
    }
    return q <= SX_Q_MOST ? q : SX_Q_ABSENT;
}

int sx_qvalue_of(sx_str params)
{
    sx_str one, name, value;
    while (params.len) {
        sx_str_cut(params, ';', &one, &params);
        if (!sx_str_cut(one, '=', &name, &value))
            continue;
        if (sx_str_ieq(sx_str_trim(name), SX_STR("q")))
            return read_qvalue(sx_str_trim(value));
    }
    return SX_Q_MOST;
}
