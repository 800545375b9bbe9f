// shop.mjs PROTOCOL ENDPOINT - an Express server that asks SQS (a stub of it) through the AWS SDK, by
// OpenTelemetry's Node SDK. Prints the trace's id.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { NodeSDK, resources } from "@opentelemetry/sdk-node";
import { trace, SpanStatusCode } from "@opentelemetry/api";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { ExpressInstrumentation } from "@opentelemetry/instrumentation-express";
import { AwsInstrumentation } from "@opentelemetry/instrumentation-aws-sdk";

const [protocol, endpoint] = process.argv.slice(2);
const { OTLPTraceExporter } = await import({
  "grpc": "@opentelemetry/exporter-trace-otlp-grpc",
  "http/json": "@opentelemetry/exporter-trace-otlp-http",
  "http/protobuf": "@opentelemetry/exporter-trace-otlp-proto",
}[protocol]);
const url = protocol === "grpc" ? endpoint : `${endpoint}/v1/traces`;
const sdk = new NodeSDK({
  resource: resources.resourceFromAttributes({ "service.name": "node-shop", "replicas": [1, 2] }),
  traceExporter: new OTLPTraceExporter({ url, compression: protocol === "http/json" ? "gzip" : "none" }),
  instrumentations: [new HttpInstrumentation(), new ExpressInstrumentation(), new AwsInstrumentation()],
});
sdk.start();

// Instrumentation hooks require(): the packages are loaded by it, after the start.
const require = createRequire(import.meta.url);
const express = require("express");
const { SQSClient, SendMessageCommand } = require("@aws-sdk/client-sqs");

const stub = createServer((request, response) => {
  request.resume().on("end", () => {
    response.setHeader("content-type", "application/x-amz-json-1.0");
    response.end(JSON.stringify({ MessageId: "1", MD5OfMessageBody: "5d41402abc4b2a76b9719d911017c592" }));
  });
});
await new Promise((done) => stub.listen(0, "127.0.0.1", done));
const sqs = new SQSClient({
  region: "eu-west-3", endpoint: `http://127.0.0.1:${stub.address().port}`,
  credentials: { accessKeyId: "x", secretAccessKey: "y" },
});

const app = express();
app.get("/orders/:id", async (request, response) => {
  const active = trace.getActiveSpan();
  active.addEvent("asked", { id: Number(request.params.id), exact: 0.5 });
  const work = trace.getTracer("own", "2.0").startSpan("work");
  work.setAttributes({ list: ["a", "b"], truth: true });
  work.recordException(new Error("too hot"));
  work.setStatus({ code: SpanStatusCode.ERROR, message: "hot" });
  work.end();
  await sqs.send(new SendMessageCommand({
    QueueUrl: `http://127.0.0.1:${stub.address().port}/1/orders`, MessageBody: "hello" }));
  response.json({ trace: active.spanContext().traceId });
});
const server = await new Promise((done) => {
  const s = app.listen(0, "127.0.0.1", () => done(s));
});
const answer = await (await fetch(`http://127.0.0.1:${server.address().port}/orders/7`)).json();
await sdk.shutdown();
console.log(JSON.stringify(answer));
process.exit(0);
