// format.ts - numbers, durations, sizes and labels as people read them.

// A sample's value as Prometheus's API writes it.
export function sampleNumber(text: string): number {
  const n = +text;
  return n === n ? n : text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : NaN;
}

// Three significant digits and a unit's letter: 1234567 is "1.23 M".
function scaled(v: number, steps: string[], by: number, space = " "): string {
  let n = Math.abs(v);
  let i = 0;
  while (n >= by && i < steps.length - 1) {
    n /= by;
    i++;
  }
  return `${v < 0 ? "-" : ""}${digits(n)}${steps[i] ? space + steps[i] : ""}`;
}

function digits(n: number): string {
  if (n === 0) return "0";
  if (n >= 1000) return String(Math.round(n));
  if (n < 1e-3) return n.toExponential(2);
  return String(Number(n.toPrecision(3)));
}

export type Unit = "short" | "bytes" | "s" | "percentunit" | "ops" | "raw";

export function valueText(v: number | null | undefined, unit: Unit = "short"): string {
  if (v === null || v === undefined) return "–";
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "+Inf" : "-Inf";
  switch (unit) {
    case "raw": return String(v);
    case "bytes": return scaled(v, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 1024);
    case "percentunit": return `${digits(Math.abs(v * 100))} %`;
    case "ops": return `${scaled(v, ["", "k", "M", "G"], 1000)}/s`;
    case "s": return seconds(v);
    case "short": return scaled(v, ["", "k", "M", "G", "T", "P"], 1000);
  }
}

function seconds(v: number): string {
  const n = Math.abs(v);
  const sign = v < 0 ? "-" : "";
  if (n === 0) return "0 s";
  if (n < 1e-6) return `${sign}${digits(n * 1e9)} ns`;
  if (n < 1e-3) return `${sign}${digits(n * 1e6)} µs`;
  if (n < 1) return `${sign}${digits(n * 1e3)} ms`;
  if (n < 120) return `${sign}${digits(n)} s`;
  if (n < 7200) return `${sign}${digits(n / 60)} min`;
  if (n < 172800) return `${sign}${digits(n / 3600)} h`;
  return `${sign}${digits(n / 86400)} d`;
}

// The unit that a metric's name tells, after the functions that are usual around it.
export function unitOf(expr: string): Unit {
  if (/_bytes(_total)?\b/.test(expr)) return "bytes";
  if (/_seconds(_bucket|_sum)?\b/.test(expr) && !/_seconds_(count|total)\b/.test(expr)) return "s";
  if (/_ratio\b/.test(expr)) return "percentunit";
  return "short";
}

export type Labels = Record<string, string>;

const quote = (s: string): string => `"${s.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

// As PromQL has it: up{job="x"}.
export function seriesName(labels: Labels): string {
  const { __name__: name = "", ...rest } = labels;
  const inner = Object.keys(rest).sort().map((k) => `${/^[a-zA-Z_]\w*$/.test(k) ? k : quote(k)}=${quote(rest[k]!)}`);
  const plain = !name || /^[a-zA-Z_:][\w:]*$/.test(name);
  if (!plain) inner.unshift(quote(name));
  return (plain ? name : "") + (inner.length ? `{${inner.join(", ")}}` : plain && name ? "" : "{}");
}

// A selector's matcher for one label.
export const matcher = (name: string, value: string): string => `${name}=${quote(value)}`;

// Whether every word of `filter` is somewhere in `text`.
export function matches(text: string, filter: string): boolean {
  const low = text.toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => low.includes(word));
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
