/* sextant.h - the whole kit by one name. Each header is the manual of its part. */
#ifndef SEXTANT_SEXTANT_H
#define SEXTANT_SEXTANT_H

#include <sextant/arena.h>
#include <sextant/base.h>
#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/config.h>
#include <sextant/error.h>
#include <sextant/http.h>
#include <sextant/http_client.h>
#include <sextant/json.h>
#include <sextant/log.h>
#include <sextant/loop.h>
#include <sextant/mem.h>
#include <sextant/metrics.h>
#include <sextant/service.h>
#include <sextant/str.h>
#include <sextant/tls.h>
#include <sextant/web_config.h>

#endif
