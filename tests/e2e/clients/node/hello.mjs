// hello.mjs URL - asks with Node's own fetch and with undici's pool (pipelining over kept
// connections), and prints what came as JSON.
import { Pool } from "undici";

const url = new URL(process.argv[2]);
const answers = {};

const byFetch = await fetch(url, { headers: { "x-request-id": "from-node-fetch" } });
answers.fetch = {
  status: byFetch.status,
  requestId: byFetch.headers.get("x-request-id"),
  body: await byFetch.text(),
};

const pool = new Pool(url.origin, { connections: 2, pipelining: 8 });
const many = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
  const r = await pool.request({
    path: url.pathname,
    method: "GET",
    headers: { "x-request-id": `undici-${i}` },
  });
  const body = await r.body.text();
  return r.statusCode === 200 && r.headers["x-request-id"] === `undici-${i}` ? body : null;
}));
await pool.close();
answers.undici = { answered: many.filter((b) => b === many[0]).length, body: many[0] };

console.log(JSON.stringify(answers));
