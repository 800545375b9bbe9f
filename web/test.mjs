// test.mjs - runs the tests of what needs no browser: tests/*.test.ts, each bundled as the pages are,
// under Node's own runner. `npm test [NAME]` runs those whose file's name contains NAME.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const only = process.argv[2] ?? "";
const tests = readdirSync(join(here, "tests")).filter((f) => f.endsWith(".test.ts") && f.includes(only));
const out = mkdtempSync(join(tmpdir(), "sextant-web-"));
try {
  await build({
    entryPoints: tests.map((f) => join(here, "tests", f)), outdir: out, outExtension: { ".js": ".mjs" },
    bundle: true, platform: "node", format: "esm", target: ["node18"], sourcemap: "inline", logLevel: "warning",
    jsx: "automatic", jsxImportSource: "preact", define: { "process.env.NODE_ENV": '"production"' },
    banner: { js: `const TESTS = ${JSON.stringify(join(here, "tests"))};` },
  });
  const made = readdirSync(out).filter((f) => f.endsWith(".mjs")).map((f) => join(out, basename(f)));
  process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...made], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
