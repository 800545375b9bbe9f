/* xml.h - text and attributes of XML 1.0, written by hand: what comes from data is escaped, and what no
 * XML may contain is left out. */
#ifndef GEOCODE_NOMINATIM_XML_H
#define GEOCODE_NOMINATIM_XML_H

#include <sextant/arena.h>
#include <sextant/buf.h>

/* Appends `text` as character data: & < > escaped, control characters left out, bytes that are not UTF-8
 * as U+FFFD. */
void nom_xml_text(sx_buf *out, sx_str text);

/* Appends ` name="value"`; quotes and line ends are escaped too. */
void nom_xml_attribute(sx_buf *out, const char *name, sx_str value);

/* A label as the name of an element: what a name may not contain becomes '_'. Itself if it is one, else in
 * the arena; "_" if there is no memory. */
sx_str nom_xml_name(sx_str label, sx_arena *arena);

#endif
