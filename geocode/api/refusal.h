/* refusal.h - Addok's error documents: JSON, or XML for who prefers it, as Falcon writes them. */
#ifndef SEXTANT_GEOCODE_API_REFUSAL_H
#define SEXTANT_GEOCODE_API_REFUSAL_H

#include <sextant/http.h>
#include <sextant/json.h>

#include "geocode/api/params.h"

/* How Addok writes JSON: as Python's json.dumps. */
extern const sx_json_style GEO_JSON_STYLE;

/* Answers `r` with the refusal's status and document, in the form that its Accept field prefers; a
 * client that takes neither JSON nor XML gets no body. Loop's thread. */
void geo_refuse(sx_request *r, const geo_refusal *refusal);

/* The document of a bare status: {"title": "404 Not Found"}. */
void geo_refuse_status(sx_request *r, int status);

/* 405, with the methods that the path has ("GET, OPTIONS"). */
void geo_refuse_method(sx_request *r, sx_str allow);

/* The fields that let pages of other hosts ask: on every answer, as Addok sends them. */
void geo_allow_any_origin(sx_request *r);

#endif
