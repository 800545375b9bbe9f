/* xml.c - see xml.h. */
#include "geocode/nominatim/xml.h"

#include <sextant/utf8.h>

static void put_escaped(sx_buf *out, sx_str text, bool attribute)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t c = 0;
        size_t len = sx_utf8_decode(sx_str_of(text.data + at, text.len - at), &c);
        sx_str raw = sx_str_of(text.data + at, len);
        at += len ? len : 1;
        if (len == 0)
            sx_buf_str(out, SX_STR("\xEF\xBF\xBD"));
        else if (c == '&')
            sx_buf_str(out, SX_STR("&amp;"));
        else if (c == '<')
            sx_buf_str(out, SX_STR("&lt;"));
        else if (c == '>')
            sx_buf_str(out, SX_STR("&gt;"));
        else if (attribute && c == '"')
            sx_buf_str(out, SX_STR("&quot;"));
        else if (attribute && (c == '\n' || c == '\r' || c == '\t'))
            sx_buf_printf(out, "&#%02u;", c);
        else if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0xFFFE || c == 0xFFFF)
            continue;
        else
            sx_buf_str(out, raw);
    }
}

void nom_xml_text(sx_buf *out, sx_str text)
{
    put_escaped(out, text, false);
}

void nom_xml_attribute(sx_buf *out, const char *name, sx_str value)
{
    sx_buf_byte(out, ' ');
    sx_buf_str(out, sx_str_z(name));
    sx_buf_str(out, SX_STR("=\""));
    put_escaped(out, value, true);
    sx_buf_byte(out, '"');
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name_byte(char c, bool first)
{
    return is_name_start(c) || (!first && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
}

sx_str nom_xml_name(sx_str label, sx_arena *arena)
{
    bool fits = label.len > 0;
    for (size_t i = 0; i < label.len; i++)
        fits = fits && is_name_byte(label.data[i], i == 0);
    if (fits)
        return label;
    char *copy = label.len ? sx_arena_alloc(arena, label.len) : NULL;
    if (!copy)
        return SX_STR("_");
    for (size_t i = 0; i < label.len; i++)
        copy[i] = is_name_byte(label.data[i], i == 0) ? label.data[i] : '_';
    return sx_str_of(copy, label.len);
}
