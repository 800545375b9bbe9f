// formats.ts - how the values of a variable are written: the formats that a text may ask for
// (`${x:csv}`), and PromQL's way, which depends on the quotes that the value stands in.

// For PromQL's regular expressions (RE2): what has a meaning there is escaped.
export const regexEscape = (s: string): string => s.replace(/[\\$^*{}[\]'+?.()|]/g, "\\$&");

const inQuotes = (s: string, quote: string): string =>
  (quote === "`" || quote === "#" || !quote ? s : s.replace(/\\/g, "\\\\").replace(quote === "'" ? /'/g : /"/g, "\\$&"));

// Values that may be several become a regular expression; in backquotes and outside of quotes
// backslashes stand for themselves. Outside of quotes (`[$range]`, `topk($n, …)`) one value stays as it is.
export function promql(values: string[], regex: boolean, quote: string): string {
  if (!regex) return inQuotes(values.join(","), quote);
  if (!quote) return values.length === 1 ? values[0]! : `(${values.join("|")})`;
  const escaped = values.map((v) => inQuotes(regexEscape(v), quote));
  return escaped.length === 1 ? escaped[0]! : `(${escaped.join("|")})`;
}

const strict = (s: string): string => s.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
// A lone half of a pair of surrogates cannot be encoded.
const encodable = (s: string): string => s.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
const percent = (s: string): string => strict(encodeURIComponent(encodable(s)));
const glob = (v: string[]): string => (v.length === 1 ? v[0]! : `{${v.join(",")}}`);
const lucene = (s: string): string => s.replace(/[!*+\-=<>\s&|()[\]{}^~?:\\/"]/g, "\\$&");
const HTML: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

type Format = (values: string[], argument: string, name: string, texts: string[], several: boolean) => string;

const FORMATS: Record<string, Format> = {
  raw: (v) => v.join(","),
  csv: (v) => v.join(","),
  pipe: (v) => v.join("|"),
  join: (v, by) => v.join(by || ","),
  glob,
  regex: (v) => (v.length === 1 ? regexEscape(v[0]!).replace(/\//g, "\\/") : `(${v.map((x) => regexEscape(x).replace(/\//g, "\\/")).join("|")})`),
  json: (v, _, __, ___, several) => JSON.stringify(several ? v : v[0] ?? ""),
  text: (_, __, ___, texts) => texts.join(" + "),
  singlequote: (v) => v.map((x) => `'${x.replace(/'/g, "\\'")}'`).join(","),
  doublequote: (v) => v.map((x) => `"${x.replace(/"/g, '\\"')}"`).join(","),
  sqlstring: (v) => v.map((x) => `'${x.replace(/'/g, "''")}'`).join(","),
  percentencode: (v) => percent(glob(v)),
  uriencode: (v) => strict(encodeURI(encodable(glob(v)))),
  queryparam: (v, _, name) => v.map((x) => `var-${percent(name)}=${percent(x)}`).join("&"),
  customqueryparam: (v, how, name) => {
    const [key = "", prefix = ""] = how.split(":");
    return v.map((x) => `${percent(key || name)}=${percent(prefix + x)}`).join("&");
  },
  html: (v) => v.join(", ").replace(/[&<>"']/g, (c) => HTML[c]!),
  lucene: (v) => (v.length === 1 ? lucene(v[0]!) : v.length ? `(${v.map((x) => `"${lucene(x)}"`).join(" OR ")})` : "__empty__"),
  distributed: (v, _, name) => v.map((x, i) => (i ? `${name}=${x}` : x)).join(","),
  date: (v, how) => {
    const ms = Number(v[0]);
    if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return v.join(",");
    return how === "seconds" ? String(Math.floor(ms / 1000)) : new Date(ms).toISOString();
  },
};

// An unknown format is as if there were none.
export function formatValues(values: string[], texts: string[], format: string, name: string, several = false): string {
  const colon = format.indexOf(":");
  const id = colon < 0 ? format : format.slice(0, colon);
  const f = Object.hasOwn(FORMATS, id) ? FORMATS[id]! : glob;
  return f(values, colon < 0 ? "" : format.slice(colon + 1), name, texts, several);
}
