/* xml.h - a pull reader for XML whose data stands in attributes: OSM files.
 *
 * Tags are given one by one, with their attributes decoded; input comes in pieces of any size from a
 * callback. Text, CDATA, comments and processing instructions are passed over: nothing that we read
 * has data in them. There is no DTD and so no entity but XML's own five and numbers: a document that
 * declares any is refused, whatever it would expand to. Tags must nest, and names must match.
 * Bytes are not checked for UTF-8: the reader of OSM repairs and reports those. Source: XML 1.0, fifth
 * edition, sections 2 and 3. Used by geocode/osm. */
#ifndef SEXTANT_CODEC_XML_H
#define SEXTANT_CODEC_XML_H

#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/str.h>

typedef struct codec_xml_attribute {
    sx_str name, value; /* good until the next call */
} codec_xml_attribute;

typedef struct codec_xml_options {
    /* The next bytes, at least one, good until it is called again; SX_END after the last. */
    sx_status (*more)(void *ctx, sx_str *chunk, sx_error *err);
    void *ctx;
    uint32_t token_bytes_max; /* of one tag, comment or instruction; 0: 1 MiB */
    uint32_t depth_max;       /* of elements in one another; 0: 64 */
    uint32_t attributes_max;  /* of one tag; 0: 128 */
} codec_xml_options;

typedef enum codec_xml_event { CODEC_XML_START, CODEC_XML_END } codec_xml_event;

/* Read by the caller: the four fields of the current tag. The rest is xml.c's. */
typedef struct codec_xml {
    codec_xml_event event;
    sx_str name;
    const codec_xml_attribute *attributes; /* of a start */
    size_t attribute_count;

    codec_xml_options options;
    sx_str in;     /* not yet taken: in the callback's piece or in `window` */
    uint64_t at;   /* offset of `in` in the document */
    sx_buf window; /* a token that lies across pieces */
    sx_buf values; /* decoded values of the current tag */
    sx_buf names;  /* of open elements, one behind the other */
    size_t *opens; /* where each begins in `names` */
    size_t depth, open_cap;
    codec_xml_attribute *list;
    size_t list_cap;
    bool empty_tag; /* <a/>: its end is next */
    bool closing;   /* the last event was an end: its name is still in `names` */
    bool had_root, ended;
} codec_xml;

/* Ready to read. Takes no memory yet. */
void codec_xml_init(codec_xml *x, const codec_xml_options *options);
void codec_xml_done(codec_xml *x);

/* The next tag: SX_OK; SX_END after the end of the root element and of the input. Errors: SX_EFORMAT
 * and SX_ELIMIT with the byte named, SX_EUNSUPPORTED for another encoding than UTF-8, SX_ENOMEM, and
 * the callback's. <a/> gives a start and an end. */
sx_status codec_xml_next(codec_xml *x, sx_error *err);

/* The attribute's value; false, *value untouched, if the tag has none of this name. */
bool codec_xml_attribute_get(const codec_xml *x, sx_str name, sx_str *value);

#endif
