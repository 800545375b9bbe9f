/* pg_lib.h - libpq, loaded when it is first needed.
 *
 * libpq brings Kerberos and LDAP along: linked, they would cost every program of the kit milliseconds at
 * its start and megabytes, and tie it to their packages. One table of functions, filled once. */
#ifndef SEXTANT_CLIENT_PG_LIB_H
#define SEXTANT_CLIENT_PG_LIB_H

#include <libpq-fe.h>

#include <sextant/error.h>

#define PG_FUNCTIONS(X)                                                                            \
    X(PQconninfoParse)                                                                             \
    X(PQconninfoFree)                                                                              \
    X(PQconndefaults)                                                                              \
    X(PQconnectStartParams)                                                                        \
    X(PQconnectPoll)                                                                               \
    X(PQstatus)                                                                                    \
    X(PQsocket)                                                                                    \
    X(PQerrorMessage)                                                                              \
    X(PQfinish)                                                                                    \
    X(PQsetnonblocking)                                                                            \
    X(PQsetNoticeProcessor)                                                                        \
    X(PQsendQueryParams)                                                                           \
    X(PQsendPrepare)                                                                               \
    X(PQsendQueryPrepared)                                                                         \
    X(PQsetSingleRowMode)                                                                          \
    X(PQflush)                                                                                     \
    X(PQconsumeInput)                                                                              \
    X(PQisBusy)                                                                                    \
    X(PQgetResult)                                                                                 \
    X(PQclear)                                                                                     \
    X(PQresultStatus)                                                                              \
    X(PQresultErrorField)                                                                          \
    X(PQresultErrorMessage)                                                                        \
    X(PQntuples)                                                                                   \
    X(PQnfields)                                                                                   \
    X(PQfname)                                                                                     \
    X(PQgetvalue)                                                                                  \
    X(PQgetlength)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQcmdTuples)                                                                                 \
    X(PQcmdStatus)                                                                                 \
    X(PQgetCancel)                                                                                 \
    X(PQcancel)                                                                                    \
    X(PQfreeCancel)                                                                                \
    X(PQtransactionStatus)                                                                         \
    X(PQfreemem)

typedef struct pg_lib {
#define X(name) __typeof__(&name) name;
    PG_FUNCTIONS(X)
#undef X
} pg_lib;

/* The table, or NULL with SX_EUNSUPPORTED: no libpq.so.5, or too old a one. Any thread. */
const pg_lib *pg_lib_load(sx_error *err);

#endif
