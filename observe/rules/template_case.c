/* template_case.c - upper, lower and title case for templates.
 *
 * ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic: what label values are written in. Letters of
 * other scripts with cases stay as they are. */
#include "observe/rules/template_case.h"

#include <sextant/utf8.h>

/* Letters whose cases lie `distance` apart; of `pairs` the even code is upper, the odd one lower, or
 * with `odd` the other way round. */
static const struct {
    uint32_t first, last; /* of the upper-case letters; of pairs: of both */
    uint32_t distance;    /* 0: pairs */
    bool odd;
} RANGES[] = {
    {'A', 'Z', 32, false},     {0xC0, 0xD6, 32, false},   {0xD8, 0xDE, 32, false},
    {0x100, 0x12F, 0, false},  {0x132, 0x137, 0, false},  {0x139, 0x148, 0, true},
    {0x14A, 0x177, 0, false},  {0x179, 0x17E, 0, true},   {0x391, 0x3A1, 32, false},
    {0x3A3, 0x3AB, 32, false}, {0x400, 0x40F, 80, false}, {0x410, 0x42F, 32, false},
    {0x460, 0x481, 0, false},  {0x48A, 0x4BF, 0, false},  {0x4D0, 0x52F, 0, false},
};

static uint32_t change(uint32_t c, bool upper)
{
    for (size_t i = 0; i < SX_COUNT_OF(RANGES); i++) {
        uint32_t first = RANGES[i].first, last = RANGES[i].last, distance = RANGES[i].distance;
        if (distance == 0) {
            if (c < first || c > last)
                continue;
            bool is_upper = ((c & 1) == 0) != RANGES[i].odd;
            return is_upper == upper ? c : upper ? c - 1 : c + 1;
        }
        if (!upper && c >= first && c <= last)
            return c + distance;
        if (upper && c >= first + distance && c <= last + distance)
            return c - distance;
    }
    return c;
}

static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == 0xAA || c == 0xB5 ||
           c == 0xBA || (c >= 0xC0 && c != 0xD7 && c != 0xF7 && c < 0x2000);
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

/* Whether `c` between two characters of a word keeps the word together (UAX 29, MidLetter and
 * MidNumLet, between letters; MidNum between digits). */
static bool joins(uint32_t before, uint32_t c, uint32_t after)
{
    bool dot = c == '.' || c == '\'' || c == 0x2019 || c == 0x2018 || c == 0x2024;
    if (is_letter(before) && is_letter(after))
        return dot || c == ':' || c == 0xB7;
    if (is_digit(before) && is_digit(after))
        return dot || c == ',' || c == ';';
    return false;
}

void rule_template_change_case(sx_str text, rule_template_case to, sx_buf *out)
{
    uint32_t before = 0;
    bool cased = false; /* in this word a letter has been seen */
    while (text.len) {
        uint32_t c, after = 0;
        char bytes[4];
        size_t len = sx_utf8_decode(text, &c);
        if (len == 0) {
            sx_buf_byte(out, text.data[0]);
            text = sx_str_from(text, 1);
            before = 0;
            cased = false;
            continue;
        }
        text = sx_str_from(text, len);
        sx_utf8_decode(text, &after);
        bool letter = is_letter(c);
        if (to != RULE_TITLE)
            c = change(c, to == RULE_UPPER);
        else if (letter && !cased)
            c = change(c, true);
        cased = letter || (cased && (is_digit(c) || c == '_' || joins(before, c, after)));
        before = c;
        sx_buf_bytes(out, bytes, sx_utf8_encode(c, bytes));
    }
}
