// build.mjs - bundles the pages under dist/, which is committed, so that no build of C needs Node.
// The output depends on nothing but the sources: CI rebuilds it and compares.
//
// The geocoder's page is one HTML file, script and style inlined: one request and it is there. Its own
// policy names script and style by their hashes: nothing else inline runs, whatever gets into the page.
// The observatory's interface is a folder: a small page, and scripts whose names have their content's
// hash, so that browsers keep them for ever and load a view when it is first shown. Its list of files
// is written as a meson.build, from which the binary's table is made.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { pack } from "./pack.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const COMMON = { bundle: true, minify: true, write: false, charset: "utf8", legalComments: "none" };

async function bundle(entry) {
  const result = await build({ ...COMMON, entryPoints: [entry], format: "iife", target: ["es2020"] });
  return result.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

async function onePage(page) {
  const script = await bundle(join(here, page, "main.ts"));
  const style = await bundle(join(here, page, "style.css"));
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; ` +
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'";
  const html = readFileSync(join(here, page, "index.html"), "utf8")
    .replace("<!-- policy -->", () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`)
    .replace("<!-- style -->", () => `<style>${style}</style>`)
    .replace("<!-- script -->", () => `<script>${script}</script>`);
  writeFileSync(join(here, "dist", `${page}.html`), html);
  console.log(`dist/${page}.html ${html.length} bytes`);
}

// The licences of what is bundled go where the bundle goes.
function licences(inputs) {
  const packages = new Set();
  for (const path of Object.keys(inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
    if (found) packages.add(found[1]);
  }
  return [...packages].sort().map((name) => {
    const from = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(from, "package.json"), "utf8"));
    const file = readdirSync(from).find((f) => /^licen[cs]e/i.test(f));
    const text = file ? readFileSync(join(from, file), "utf8").trim() : "";
    return `${name} ${version} (${license})\n\n${text}\n`;
  }).join("\n" + "-".repeat(72) + "\n\n");
}

async function folder(page) {
  const out = join(here, "dist", page);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { files: scripts, main, inputs } = await pack(`${page}/main.tsx`, here);
  const sheet = (await build({ ...COMMON, entryPoints: [join(here, page, "style.css")], outdir: out, entryNames: "[name]-[hash]" })).outputFiles[0];
  const style = basename(sheet.path);
  const files = [...scripts, { name: style, bytes: Buffer.from(sheet.contents) }];
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const f of files) writeFileSync(join(out, f.name), f.bytes);
  // What the first script imports is asked for together with it, not after it.
  const early = scripts.filter((f) => f.first && f.name !== main).map((f) => f.name);
  copyFileSync(join(here, page, "favicon.svg"), join(out, "favicon.svg"));
  const html = readFileSync(join(here, page, "index.html"), "utf8")
    .replace("<!-- style -->", () => `<link rel="stylesheet" href="assets/${style}">`)
    .replace("<!-- script -->", () => early.map((n) => `<link rel="modulepreload" href="assets/${n}">\n`).join("") +
      `<script type="module" src="assets/${main}"></script>`);
  writeFileSync(join(out, "index.html"), html);
  writeFileSync(join(out, "licences.txt"), licences(inputs));
  const all = [...files.map((f) => f.name), "favicon.svg", "index.html", "licences.txt"];
  writeFileSync(join(out, "meson.build"), "# Written by build.mjs.\n" +
    `${page}_page_files = files(\n${all.map((n) => `  '${n}',\n`).join("")})\n`);
  const size = (f) => ({ plain: f.bytes.length, gzip: gzipSync(f.bytes, { level: 9 }).length, br: brotliCompressSync(f.bytes).length });
  let sum = 0;
  for (const f of files) {
    const s = size(f);
    sum += s.br;
    console.log(`dist/${page}/${f.name} ${s.plain} bytes, gzip ${s.gzip}, brotli ${s.br}`);
  }
  console.log(`dist/${page} ${sum} bytes in all, brotli`);
}

mkdirSync(join(here, "dist"), { recursive: true });
await onePage("geocode");
await folder("observe");
