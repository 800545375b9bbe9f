// legacy.mjs CLIENT HOST PORT - one trace by a client of before OpenTelemetry: jaeger-udp (Thrift
// binary), jaeger-http, zipkin-http. Prints the trace's id.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const [client, host, port] = process.argv.slice(2);

function jaeger() {
  const { initTracer } = require("jaeger-client");
  const reporter = client === "jaeger-udp"
    ? { agentHost: host, agentPort: Number(port), flushIntervalMs: 100 }
    : { collectorEndpoint: `http://${host}:${port}/api/traces`, flushIntervalMs: 100 };
  const tracer = initTracer({
    serviceName: "old-shop", sampler: { type: "const", param: 1 }, reporter,
    traceId128bit: true,
  }, { tags: { region: "eu" } });
  const root = tracer.startSpan("checkout", { tags: { "span.kind": "server", n: 7, share: 0.5, free: false, who: "é" } });
  root.log({ event: "paid", amount: 3 });
  const child = tracer.startSpan("pay", { childOf: root });
  child.setTag("error", true);
  child.setTag("span.kind", "client");
  child.finish();
  root.finish();
  tracer.close(() => console.log(JSON.stringify({ trace: root.context().traceIdStr })));
}

function zipkin() {
  const { Tracer, BatchRecorder, ExplicitContext, Annotation, jsonEncoder } = require("zipkin");
  const { HttpLogger } = require("zipkin-transport-http");
  const logger = new HttpLogger({
    endpoint: `http://${host}:${port}/api/v2/spans`, jsonEncoder: jsonEncoder.JSON_V2,
  });
  const recorder = new BatchRecorder({ logger });
  const tracer = new Tracer({ ctxImpl: new ExplicitContext(), recorder, localServiceName: "old-shop", traceId128Bit: true });
  tracer.scoped(() => {
    const root = tracer.createRootId();
    const child = tracer.letId(root, () => tracer.createChildId());
    tracer.letId(root, () => {
      tracer.recordAnnotation(new Annotation.ServerRecv());
      tracer.recordServiceName("old-shop");
      tracer.recordRpc("checkout");
      tracer.recordBinary("region", "eu");
      tracer.recordMessage("paid");
    });
    tracer.letId(child, () => {
      tracer.recordAnnotation(new Annotation.ClientSend());
      tracer.recordServiceName("old-shop");
      tracer.recordRpc("pay");
      tracer.recordBinary("error", "declined");
      tracer.recordAnnotation(new Annotation.ClientRecv());
    });
    tracer.letId(root, () => tracer.recordAnnotation(new Annotation.ServerSend()));
    console.log(JSON.stringify({ trace: root.traceId }));
  });
  recorder.flush();
  logger.processQueue(fetch);
}

if (client.startsWith("jaeger")) jaeger(); else zipkin();
