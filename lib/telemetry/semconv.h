/* semconv.h - the names that OpenTelemetry gives to the attributes of spans.
 *
 * A backend groups, searches and draws by these names, so they are written down once, for the
 * service, the clients and the gateway. Only names that are stable in the conventions are here, and
 * of messaging and RPC, which are not stable yet, those that the SDKs of other languages send today.
 * Macros and not constants: an attribute's key is a literal in a table or in sx_field_str().
 *
 * What must never be put into a span without being asked for: url.query and url.full with one
 * (they carry tokens), request headers, bodies, and the values of a query's parameters.
 *
 * Source: OpenTelemetry Semantic Conventions 1.27 and later (http, database, exceptions, errors,
 * server and client, network, url, user-agent: stable; messaging, rpc: in development). */
#ifndef SEXTANT_TELEMETRY_SEMCONV_H
#define SEXTANT_TELEMETRY_SEMCONV_H

/* HTTP, both sides. The name of a server's span is "{method} {route}", or the method alone; the
 * method is one that RFC 9110 and 5789 know, else "_OTHER" with the original beside it. The status
 * of a server's span is ERROR from 500 on, of a client's from 400 on. */
#define SX_ATTR_HTTP_REQUEST_METHOD          "http.request.method"
#define SX_ATTR_HTTP_REQUEST_METHOD_ORIGINAL "http.request.method_original"
#define SX_ATTR_HTTP_REQUEST_RESEND_COUNT    "http.request.resend_count"
#define SX_ATTR_HTTP_REQUEST_BODY_SIZE       "http.request.body.size"
#define SX_ATTR_HTTP_RESPONSE_BODY_SIZE      "http.response.body.size"
#define SX_ATTR_HTTP_RESPONSE_STATUS_CODE    "http.response.status_code"
#define SX_ATTR_HTTP_ROUTE                   "http.route"
#define SX_HTTP_METHOD_OTHER                 "_OTHER"

#define SX_ATTR_URL_FULL            "url.full"
#define SX_ATTR_URL_PATH            "url.path"
#define SX_ATTR_URL_QUERY           "url.query"
#define SX_ATTR_URL_SCHEME          "url.scheme"
#define SX_ATTR_USER_AGENT_ORIGINAL "user_agent.original"

/* Who talks to whom. server.* is what the client asked for, network.peer.* the socket. */
#define SX_ATTR_SERVER_ADDRESS           "server.address"
#define SX_ATTR_SERVER_PORT              "server.port"
#define SX_ATTR_CLIENT_ADDRESS           "client.address"
#define SX_ATTR_CLIENT_PORT              "client.port"
#define SX_ATTR_NETWORK_PEER_ADDRESS     "network.peer.address"
#define SX_ATTR_NETWORK_PEER_PORT        "network.peer.port"
#define SX_ATTR_NETWORK_PROTOCOL_NAME    "network.protocol.name"
#define SX_ATTR_NETWORK_PROTOCOL_VERSION "network.protocol.version"
#define SX_ATTR_NETWORK_TRANSPORT        "network.transport"

/* What failed: a status code as text ("500"), or a short name of the failure ("timeout"). */
#define SX_ATTR_ERROR_TYPE           "error.type"
#define SX_EVENT_EXCEPTION           "exception"
#define SX_ATTR_EXCEPTION_TYPE       "exception.type"
#define SX_ATTR_EXCEPTION_MESSAGE    "exception.message"
#define SX_ATTR_EXCEPTION_STACKTRACE "exception.stacktrace"

/* Databases. The name of a span is "{operation} {collection}", or db.system.name alone. */
#define SX_ATTR_DB_SYSTEM_NAME            "db.system.name"
#define SX_ATTR_DB_NAMESPACE              "db.namespace"
#define SX_ATTR_DB_COLLECTION_NAME        "db.collection.name"
#define SX_ATTR_DB_OPERATION_NAME         "db.operation.name"
#define SX_ATTR_DB_OPERATION_BATCH_SIZE   "db.operation.batch.size"
#define SX_ATTR_DB_QUERY_TEXT             "db.query.text"
#define SX_ATTR_DB_QUERY_SUMMARY          "db.query.summary"
#define SX_ATTR_DB_RESPONSE_STATUS_CODE   "db.response.status_code"
#define SX_ATTR_DB_RESPONSE_RETURNED_ROWS "db.response.returned_rows"
#define SX_ATTR_DB_STORED_PROCEDURE_NAME  "db.stored_procedure.name"
#define SX_DB_SYSTEM_POSTGRESQL           "postgresql"
#define SX_DB_SYSTEM_REDIS                "redis"
#define SX_DB_SYSTEM_SQLITE               "sqlite"

/* Messaging. */
#define SX_ATTR_MESSAGING_SYSTEM                   "messaging.system"
#define SX_ATTR_MESSAGING_OPERATION_NAME           "messaging.operation.name"
#define SX_ATTR_MESSAGING_OPERATION_TYPE           "messaging.operation.type"
#define SX_ATTR_MESSAGING_DESTINATION_NAME         "messaging.destination.name"
#define SX_ATTR_MESSAGING_DESTINATION_PARTITION_ID "messaging.destination.partition.id"
#define SX_ATTR_MESSAGING_CONSUMER_GROUP_NAME      "messaging.consumer.group.name"
#define SX_ATTR_MESSAGING_CLIENT_ID                "messaging.client.id"
#define SX_ATTR_MESSAGING_MESSAGE_ID               "messaging.message.id"
#define SX_ATTR_MESSAGING_MESSAGE_BODY_SIZE        "messaging.message.body.size"
#define SX_ATTR_MESSAGING_BATCH_MESSAGE_COUNT      "messaging.batch.message_count"
#define SX_ATTR_MESSAGING_KAFKA_OFFSET             "messaging.kafka.offset"
#define SX_ATTR_MESSAGING_KAFKA_MESSAGE_KEY        "messaging.kafka.message.key"

/* Remote procedure calls. The name of a span is "{service}/{method}". */
#define SX_ATTR_RPC_SYSTEM           "rpc.system"
#define SX_ATTR_RPC_SERVICE          "rpc.service"
#define SX_ATTR_RPC_METHOD           "rpc.method"
#define SX_ATTR_RPC_GRPC_STATUS_CODE "rpc.grpc.status_code"
#define SX_RPC_SYSTEM_GRPC           "grpc"

/* Where in the source. */
#define SX_ATTR_CODE_FUNCTION_NAME "code.function.name"
#define SX_ATTR_CODE_FILE_PATH     "code.file.path"
#define SX_ATTR_CODE_LINE_NUMBER   "code.line.number"
#define SX_ATTR_CODE_STACKTRACE    "code.stacktrace"
#define SX_ATTR_THREAD_ID          "thread.id"
#define SX_ATTR_THREAD_NAME        "thread.name"

/* Of the resource: who sends all this. */
#define SX_ATTR_SERVICE_NAME           "service.name"
#define SX_ATTR_SERVICE_VERSION        "service.version"
#define SX_ATTR_SERVICE_INSTANCE_ID    "service.instance.id"
#define SX_ATTR_TELEMETRY_SDK_NAME     "telemetry.sdk.name"
#define SX_ATTR_TELEMETRY_SDK_LANGUAGE "telemetry.sdk.language"
#define SX_ATTR_TELEMETRY_SDK_VERSION  "telemetry.sdk.version"

#endif
