// units.ts - numbers with their units as Grafana writes them: scaled, with as many decimals as are worth
// reading, the unit behind or before. The table is compact because every panel needs it: one text for
// each family, read at the first use. Ids are Grafana's (table of @grafana/data, see NOTICE).
import { formatDate, fromNow, localDate, sameDay } from "./moments";

export interface Formatted { prefix?: string; text: string; suffix?: string }
export type Decimals = number | null | undefined;
export type Formatter = (value: number, decimals?: Decimals, zone?: string) => Formatted;

// ---- plain numbers

// Three digits where there are decimals at all; whole numbers have none.
function autoDecimals(v: number): number {
  if (v % 1 === 0) return 0;
  return Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v))));
}

const most20 = (d: Decimals): number | undefined => (d == null ? undefined : Math.min(20, Math.max(0, Math.trunc(d)) || 0));

export function fixed(v: number, decimals?: Decimals): string {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "-∞";
  const d = decimals == null ? autoDecimals(v) : most20(decimals)!;
  const by = d ? 10 ** d : 1;
  const rounded = Math.round(v * by) / by;
  const text = String(Number.isFinite(rounded) ? rounded : v);
  if (!d || text.includes("e") || (v === 0 && decimals == null)) return text;
  const dot = text.indexOf(".");
  const has = dot < 0 ? 0 : text.length - dot - 1;
  return has >= d ? text : text + (dot < 0 ? "." : "") + "0".repeat(d - has);
}

const plain = (suffix: string): Formatter => (v, d) => ({ text: fixed(v, d), suffix });
const bare: Formatter = (v, d) => ({ text: fixed(v, d) });
const finite = (f: Formatter): Formatter => (v, d, zone) => (Number.isFinite(v) ? f(v, d, zone) : bare(v));

// ---- scaled: by 1000 or 1024, from the step at which the unit itself stands

const SI = ["f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y"];
const SI_ONE = 5;
const IEC = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const COUNT = ["", "K", "M", "B", "T"];
const SHORT = ["", " K", " Mil", " Bil", " Tri", " Quadr", " Quint", " Sext", " Sept"];

function scale(steps: string[], by: number, at: number, suffix: (step: string) => string): Formatter {
  const suffixes = steps.map(suffix);
  const top = steps.length - 1;
  const down = at > 0; // only units that stand above the first step get smaller
  return finite((v, d) => {
    const size = Math.abs(v);
    let i = at;
    let unit = 1;
    if (size >= by) while (i < top && size >= unit * by) { unit *= by; i++; }
    else if (down && size > 0 && size < 1) {
      let up = 1;
      while (i > 0 && size * up < 1) { up *= by; i--; }
      return { text: fixed(v * up, d), suffix: suffixes[i] };
    }
    return { text: fixed(v / unit, d), suffix: suffixes[i] };
  });
}

const si = (base: string, shift = 0): Formatter => scale(SI, 1000, SI_ONE + shift, (p) => ` ${p}${base}`);
const iec = (base: string, shift = 0): Formatter => scale(IEC, 1024, shift, (p) => ` ${p}${base}`);
const count = (unit: string): Formatter => scale(COUNT, 1000, 0, (p) => `${p} ${unit}`);

function currency(symbol: string, behind = false): Formatter {
  const scaled = scale(COUNT, 1000, 0, (p) => p);
  return (v, d) => {
    const f = scaled(Math.abs(v), d);
    const sign = v < 0 ? "-" : "";
    return behind ? { prefix: sign, text: f.text, suffix: (f.suffix ?? "") + symbol } : { ...f, prefix: sign + symbol };
  };
}

// ---- times: [below this many, how many make one, name]; longer names lose their s for one

type TimeStep = [below: number, size: number, name: string];
const S: TimeStep[] = [[1e-6, 1e-9, "ns"], [1e-3, 1e-6, "µs"], [1, 1e-3, "ms"], [60, 1, "s"], [3600, 60, "mins"], [86400, 3600, "hours"], [604800, 86400, "days"], [31536000, 604800, "weeks"], [Infinity, 3.15569e7, "years"]];
const TIMES: Record<string, TimeStep[]> = {
  s: S,
  ns: [[1e3, 1, "ns"], [1e6, 1e3, "µs"], [1e9, 1e6, "ms"], [6e10, 1e9, "s"], [3.6e12, 6e10, "mins"], [8.64e13, 3.6e12, "hours"], [Infinity, 8.64e13, "days"]],
  "µs": [[1e3, 1, "µs"], [1e6, 1e3, "ms"], [Infinity, 1e6, "s"]],
  ms: [[1e3, 1, "ms"], [6e4, 1e3, "s"], [3.6e6, 6e4, "mins"], [8.64e7, 3.6e6, "hours"], [31536e6, 8.64e7, "days"], [Infinity, 31536e6, "years"]],
  m: [[60, 1, "min"], [1440, 60, "hours"], [10080, 1440, "days"], [604800, 10080, "weeks"], [Infinity, 525948, "years"]],
  h: [[24, 1, "hours"], [168, 24, "days"], [8760, 168, "weeks"], [Infinity, 8760, "years"]],
  d: [[7, 1, "days"], [365, 7, "weeks"], [Infinity, 365, "years"]],
};

function time(steps: TimeStep[]): Formatter {
  return finite((v, d) => {
    const size = Math.abs(v);
    if (v === 0 && steps === S) return { text: "0", suffix: " s" };
    const [, unit, name] = steps.find(([below]) => size < below) ?? steps[steps.length - 1]!;
    // Below one the unit is reached by multiplying: 0.0003 * 1000 is closer than 0.0003 / 0.001.
    const scaled = unit < 1 ? v * Math.round(1 / unit) : v / unit;
    return { text: fixed(scaled, d), suffix: ` ${name.length > 3 && Math.abs(scaled) <= 1 ? name.slice(0, -1) : name}` };
  });
}

// "1 hour, 5 minutes": as many further parts as decimals are asked for.
const PARTS: [name: string, ms: number][] = [["year", 31536e6], ["month", 2592e6], ["week", 6048e5], ["day", 864e5], ["hour", 36e5], ["minute", 6e4], ["second", 1e3], ["millisecond", 1]];

const duration = (unit_ms: number, name: string): Formatter => finite((v, decimals) => {
  if (v === 0) return { text: "0", suffix: ` ${name}` };
  if (v < 0) return { ...duration(unit_ms, name)(-v, decimals), suffix: " ago" };
  let rest = v * unit_ms;
  let more = decimals ?? 0;
  const out: string[] = [];
  for (const [part, size] of PARTS) {
    const n = Math.floor(rest / size);
    if (!out.length && n < 1) continue;
    if (out.length && more-- <= 0) break;
    out.push(`${n} ${part}${n === 1 ? "" : "s"}`);
    rest -= n * size;
  }
  return { text: out.join(", ") };
});

const two = (n: number): string => String(n).padStart(2, "0");

const hms = (withDays: boolean): Formatter => finite((v) => {
  if (v < 0) return { ...hms(withDays)(-v), suffix: " ago" };
  const s = Math.floor(v);
  const days = withDays ? Math.floor(s / 86400) : 0;
  const clock = `${two(Math.floor((s - days * 86400) / 3600))}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  return { text: days ? `${days} d ${clock}` : clock };
});

// "1h:05m:09s:000ms", cut after as many parts as decimals are asked for.
const clock = (unit_ms: number): Formatter => finite((v, decimals) => {
  const ms = Math.abs(v * unit_ms);
  const parts = [`${Math.floor(ms / 36e5)}h`, `${two(Math.floor(ms / 6e4) % 60)}m`, `${two(Math.floor(ms / 1e3) % 60)}s`, `${String(Math.floor(ms % 1e3)).padStart(3, "0")}ms`];
  const from = ms < 1e3 ? 3 : ms < 6e4 ? 2 : ms < 36e5 ? 1 : 0;
  return { text: (v < 0 ? "-" : "") + parts.slice(from, decimals == null ? 4 : Math.max(from, from + decimals) + 1).join(":") };
});

// ---- dates

type Dated = (ms: number, zone: string) => string;
const dated = (f: Dated): Formatter => (v, _, zone) => ({ text: f(v, zone ?? "browser") });
const momentLike = (format: string): Formatter => dated((ms, zone) => formatDate(ms, format, zone));
const unlessToday = (format: string, today: string): Formatter => dated((ms, zone) => formatDate(ms, sameDay(ms, Date.now(), zone) ? today : format, zone));

// ---- the rest

const hex = (before: string): Formatter => finite((v, d) => {
  const n = Number(fixed(v, d));
  const digits = Math.abs(n).toString(16).toUpperCase();
  return { text: (n < 0 ? "-" : "") + before + digits };
});
const sci: Formatter = finite((v, d) => ({ text: v.toExponential(most20(d)) }));
const grouped = (d?: Decimals): Intl.NumberFormatOptions => ({ maximumFractionDigits: most20(d) ?? 3 });
const locale: Formatter = finite((v, d) => ({ text: v.toLocaleString(undefined, grouped(d)) }));
const bool = (yes: string, no: string): Formatter => (v) => ({ text: v ? yes : no });
const short = scale(SHORT, 1000, 0, (p) => p);

const SPECIAL: Record<string, Formatter> = {
  none: bare, "": bare, string: (v) => ({ text: String(v) }), short, sishort: si(""), percent: plain("%"),
  percentunit: (v, d) => ({ text: fixed(v * 100, d), suffix: "%" }),
  hex: hex(""), hex0x: hex("0x"), sci, locale,
  pressurepsi: scale(["psi", "ksi", "Mpsi"], 1000, 0, (p) => p),
  bool: bool("True", "False"), bool_yes_no: bool("Yes", "No"), bool_on_off: bool("On", "Off"),
  timeticks: (v, d) => time(S)(v / 100, d),
  dtdurationms: duration(1, "milliseconds"), dtdurations: duration(1e3, "seconds"),
  dthms: hms(false), dtdhms: hms(true), clockms: clock(1), clocks: clock(1e3),
  dateTimeAsIso: momentLike("YYYY-MM-DD HH:mm:ss"), dateTimeAsSystem: momentLike("YYYY-MM-DD HH:mm:ss"),
  dateTimeAsIsoNoDateIfToday: unlessToday("YYYY-MM-DD HH:mm:ss", "HH:mm:ss"),
  dateTimeAsUS: momentLike("MM/DD/YYYY h:mm:ss a"), dateTimeAsUSNoDateIfToday: unlessToday("MM/DD/YYYY h:mm:ss a", "h:mm:ss a"),
  dateTimeAsLocal: dated(localDate), dateTimeAsLocalNoDateIfToday: dated((ms, zone) => localDate(ms, zone, sameDay(ms, Date.now(), zone))),
  dateTimeFromNow: dated((ms) => fromNow(ms)),
};

// id=unit, or id alone if the unit is called so; @n: the unit stands n steps above the base.
const FAMILIES: [texts: string, make: (unit: string, shift: number) => Formatter][] = [
  ["humidity=%H|dB|pixel=px|accMS2=m/sec²|accFS2=f/sec²|accG=g|degree=°|radian=rad|grad|arcmin|arcsec|areaM2=m²|areaF2=ft²|areaMI2=mi²|acres=ac|hectares=ha|ppm|conppb=ppb|conngm3=ng/m³|conngNm3=ng/Nm³|conμgm3=μg/m³|conμgNm3=μg/Nm³|conmgm3=mg/m³|conmgNm3=mg/Nm³|congm3=g/m³|congNm3=g/Nm³|conmgdL=mg/dL|conmmolL=mmol/L|dBm=dbm|flowgpm=gpm|flowcms=cms|flowcfs=cfs|flowcfm=cfm|litreh=L/h|flowlpm=L/min|flowmlpm=mL/min|lux|masslb=lb|masst=t|lengthcm=cm|lengthin=in|lengthft=ft|lengthmi=mi|pressurehpa=hPa|pressurekpa=kPa|pressurehg=\"Hg|rotrpm=rpm|rotrads=rad/s|rotdegs=°/s|celsius=°C|fahrenheit=°F|kelvin=K|velocityms=m/s|velocitykmh=km/h|velocitymph=mph|velocityknot=kn|m3=m³|Nm3=Nm³|dm3=dm³|gallons=gal",
    (unit) => plain(` ${unit}`)],
  ["candela=cd|flops=FLOPS|mflops=FLOPS@2|gflops=FLOPS@3|tflops=FLOPS@4|pflops=FLOPS@5|eflops=FLOPS@6|zflops=FLOPS@7|yflops=FLOPS@8|decbytes=B|deckbytes=B@1|decmbytes=B@2|decgbytes=B@3|dectbytes=B@4|decpbytes=B@5|decbits=b|pps=p/s|Bps=B/s|KBs=B/s@1|MBs=B/s@2|GBs=B/s@3|TBs=B/s@4|PBs=B/s@5|bps=b/s|Kbits=b/s@1|Mbits=b/s@2|Gbits=b/s@3|Tbits=b/s@4|Pbits=b/s@5|watt=W|kwatt=W@1|megwatt=W@2|gwatt=W@3|mwatt=W@-1|Wm2=W/m²|voltamp=VA|kvoltamp=VA@1|voltampreact=VAr|kvoltampreact=VAr@1|watth=Wh|watthperkg=Wh/kg|kwatth=Wh@1|kwattm=W-Min@1|mwatth=Wh@2|amph=Ah|kamph=Ah@1|mamph=Ah@-1|joule=J|ev=eV|amp=A|kamp=A@1|mamp=A@-1|volt=V|kvolt=V@1|mvolt=V@-1|mohm=Ω@-1|ohm=Ω|kohm=Ω@1|Mohm=Ω@2|farad=F|µfarad=F@-2|nfarad=F@-3|pfarad=F@-4|ffarad=F@-5|henry=H|mhenry=H@-1|µhenry=H@-2|lumens=Lm|forceNm=Nm|forcekNm=Nm@1|forceN=N|forcekN=N@1|Hs=H/s|KHs=H/s@1|MHs=H/s@2|GHs=H/s@3|THs=H/s@4|PHs=H/s@5|EHs=H/s@6|massmg=g@-1|massg=g|masskg=g@1|lengthmm=m@-1|lengthm=m|lengthkm=m@1|pressurembar=bar@-1|pressurebar=bar|pressurekbar=bar@1|pressurepa=Pa|radbq=Bq|radci=Ci|radgy=Gy|radrad=rad|radsv=Sv|radmsv=Sv@-1|radusv=Sv@-2|radrem=rem|radexpckg=C/kg|radr=R|radsvh=Sv/h|radmsvh=Sv/h@-1|radusvh=Sv/h@-2|rothz=Hz|rotkhz=Hz@1|rotmhz=Hz@2|rotghz=Hz@3|hertz=Hz|mlitre=L@-1|litre=L",
    si],
  ["bytes=B|kbytes=B@1|mbytes=B@2|gbytes=B@3|tbytes=B@4|pbytes=B@5|bits=b|binBps=B/s|KiBs=B/s@1|MiBs=B/s@2|GiBs=B/s@3|TiBs=B/s@4|PiBs=B/s@5|binbps=b/s|Kibits=b/s@1|Mibits=b/s@2|Gibits=b/s@3|Tibits=b/s@4|Pibits=b/s@5", iec],
  ["cps=c/s|ops=ops/s|reqps=req/s|rps=rd/s|wps=wr/s|iops=io/s|eps=evt/s|mps=msg/s|recps=rec/s|rowsps=rows/s|cpm=c/m|opm=ops/m|reqpm=req/m|rpm=rd/m|wpm=wr/m|epm=evts/m|mpm=msgs/m|recpm=rec/m|rowspm=rows/m", count],
  ["USD=$|GBP=£|EUR=€|JPY=¥|RUB=₽|UAH=₴|BRL=R$|DKK=kr@1|ISK=kr@1|NOK=kr@1|SEK=kr@1|CZK=czk|CHF|PLN|BTC=฿|mBTC|μBTC|ZAR=R|INR=₹|KRW=₩|IDR=Rp|PHP|VND=đ@1|TRY=₺@1|MYR=RM|XPF|BGN|PYG=₲|UYU|ILS=₪", (unit, behind) => currency(unit, behind > 0)],
];

type Row = [family: number, unit: string, shift: number];
let rows: Map<string, Row> | undefined;

function table(): Map<string, Row> {
  if (rows) return rows;
  rows = new Map();
  FAMILIES.forEach(([texts], family) => {
    for (const entry of texts.split("|")) {
      const [, id, unit, shift] = /^([^=@]+)(?:=([^@]+))?(?:@(-?\d))?$/.exec(entry)!;
      rows!.set((family === 4 ? "currency" : "") + id, [family, unit ?? id!, Number(shift ?? 0)]);
    }
  });
  return rows;
}

// ---- units made up in place: "suffix:foo"

function siCustom(text: string): Formatter {
  const step = text.length > 1 ? SI.indexOf(text[0]!) : -1;
  return step >= 0 && text[0] !== "" ? si(text.slice(1), step - SI_ONE) : si(text);
}

// "currency:$", and in full, without K and M: "currency:financial:$", "currency:financial:€:suffix".
function currencyCustom(text: string): Formatter {
  const [first, symbol, place] = text.split(":");
  if (first !== "financial" || symbol === undefined) return currency(text);
  return (v, d) => {
    const whole = Number.isFinite(v) ? v.toLocaleString(undefined, { minimumFractionDigits: most20(d) ?? 0, maximumFractionDigits: most20(d) ?? 2 }) : fixed(v);
    return place === "suffix" ? { prefix: "", text: whole, suffix: symbol } : { prefix: symbol, text: whole, suffix: "" };
  };
}

const CUSTOM: Record<string, (rest: string) => Formatter> = {
  prefix: (p) => (v, d) => ({ prefix: p, text: fixed(v, d) }),
  suffix: (s) => plain(` ${s}`),
  time: (f) => (f === "fromNow" ? SPECIAL.dateTimeFromNow! : momentLike(f)),
  si: siCustom,
  count,
  currency: currencyCustom,
  bool: (t) => { const [yes = "", no = "-"] = t.split("/"); return bool(yes, no); },
};

function make(unit: string): Formatter {
  const special = Object.hasOwn(SPECIAL, unit) ? SPECIAL[unit] : undefined;
  if (special) return special;
  if (Object.hasOwn(TIMES, unit)) return time(TIMES[unit]!);
  const row = table().get(unit);
  if (row) return FAMILIES[row[0]]![1](row[1], row[2]);
  const colon = unit.indexOf(":");
  const kind = colon > 0 ? unit.slice(0, colon) : "";
  if (Object.hasOwn(CUSTOM, kind)) return CUSTOM[kind]!(unit.slice(colon + 1));
  return plain(` ${unit}`);
}

const made = new Map<string, Formatter>();

export function formatterOf(unit: string | null | undefined): Formatter {
  const id = unit ?? "";
  let f = made.get(id);
  if (!f) {
    f = make(id);
    if (made.size < 2000) made.set(id, f);
  }
  return f;
}

// Nothing for null; dates in the browser's zone unless `zone`.
export function formatValue(unit: string | null | undefined, value: number | null | undefined, decimals?: Decimals, zone = "browser"): Formatted {
  if (value == null) return { text: "" };
  return formatterOf(unit)(value, decimals, zone);
}

export const isTimeUnit = (unit: string | undefined): boolean => !!unit && (unit.startsWith("dateTime") || unit.startsWith("time:"));
export const isBoolUnit = (unit: string | undefined): boolean => !!unit && unit.startsWith("bool");
