// steps.ts - what the builder can do to a metric, as one table: how it is called, what it is given,
// and what it says in a sentence. $0 and $1 are its arguments, $by its grouping.

export type Kind = "range" | "group" | "plain" | "number";

export interface Arg { name: string; kind: "range" | "number" | "text"; first: string; before?: boolean; optional?: boolean }

export interface Op { id: string; kind: Kind; menu: string; args: Arg[]; said: string }

const RANGE: Arg = { name: "over", kind: "range", first: "5m" };
const number = (name: string, first: string, more: Partial<Arg> = {}): Arg => ({ name, kind: "number", first, ...more });
const before = { before: true };

const row = (kind: Kind, menu: string) => ([id, said, ...args]: [string, string, ...Arg[]]): Op => ({ id, kind, menu, args, said });

const RANGES: [string, string, ...Arg[]][] = [
  ["rate", "How much it grows each second, averaged over $0: the right thing for counters.", RANGE],
  ["increase", "How much it grows within $0.", RANGE],
  ["irate", "How much it grows each second, by the last two samples within $0.", RANGE],
  ["delta", "How much it changes within $0, up or down: for gauges.", RANGE],
  ["deriv", "How much it changes each second, by a straight line through $0.", RANGE],
  ["changes", "How often it changes within $0.", RANGE],
  ["resets", "How often the counter begins anew within $0.", RANGE],
  ["predict_linear", "What it will be in $1 seconds if it goes on as within $0.", RANGE, number("seconds from now", "3600")],
  ["avg_over_time", "Its average over $0.", RANGE],
  ["min_over_time", "The least it was within $0.", RANGE],
  ["max_over_time", "The most it was within $0.", RANGE],
  ["sum_over_time", "All its samples within $0 added up.", RANGE],
  ["count_over_time", "How many samples it has within $0.", RANGE],
  ["last_over_time", "Its last sample within $0.", RANGE],
  ["stddev_over_time", "How far it strays from its average over $0.", RANGE],
  ["quantile_over_time", "The value that a share of $0 of its samples within $1 stays below.", number("share", "0.95", before), RANGE],
];
const GROUPS: [string, string, ...Arg[]][] = [
  ["sum", "Add the series up$by."],
  ["avg", "Take the series' average$by."],
  ["max", "Take the largest of the series$by."],
  ["min", "Take the smallest of the series$by."],
  ["count", "Count the series$by."],
  ["topk", "Keep the $0 largest series$by.", number("how many", "5", before)],
  ["bottomk", "Keep the $0 smallest series$by.", number("how many", "5", before)],
  ["quantile", "Take the value that a share of $0 of the series stays below$by.", number("share", "0.95", before)],
  ["stddev", "Tell how far the series stray from their average$by."],
  ["group", "Show 1 for what there is$by."],
  ["count_values", "Count the series of each value, with the value as label $0$by.", { name: "label", kind: "text", first: "value", before: true }],
];
const HISTOGRAMS: [string, string, ...Arg[]][] = [
  ["histogram_quantile", "The value that a share of $0 of what was observed stays below. Classic buckets need their label le kept until here, native histograms nothing.", number("share", "0.95", before)],
  ["histogram_avg", "The average of what a native histogram observed."],
  ["histogram_count", "How much a native histogram observed."],
  ["histogram_sum", "The sum of what a native histogram observed."],
];
const PLAINS: [string, string, ...Arg[]][] = [
  ["abs", "Drop the sign."], ["ceil", "Round up."], ["floor", "Round down."],
  ["round", "Round to a multiple of $0.", number("multiple of", "1", { optional: true })],
  ["clamp", "Keep it between $0 and $1.", number("least", "0"), number("most", "100")],
  ["clamp_min", "Let it be no less than $0.", number("least", "0")],
  ["clamp_max", "Let it be no more than $0.", number("most", "100")],
  ["sqrt", "Take the square root."], ["exp", "Raise e to it."], ["ln", "Take the natural logarithm."], ["log2", "Take the logarithm to 2."], ["log10", "Take the logarithm to 10."],
  ["sgn", "Show 1, 0 or -1 for its sign."], ["timestamp", "Show when the sample was taken, in seconds since 1970."],
  ["absent", "Show 1 if there is no such series."], ["sort", "Sort a table by value."], ["sort_desc", "Sort a table by value, the largest first."],
];
const NUMBERS: [string, string][] = [
  ["+", "Add $0."], ["-", "Take $0 away."], ["*", "Multiply by $0."], ["/", "Divide by $0."], ["%", "Keep what is left over when divided by $0."], ["^", "Raise to the power of $0."],
  ["==", "Keep only what equals $0."], ["!=", "Keep only what is not $0."], [">", "Keep only what is above $0."], ["<", "Keep only what is below $0."],
  [">=", "Keep only what is $0 or more."], ["<=", "Keep only what is $0 or less."],
];

export const OPS: Op[] = [
  ...RANGES.map(row("range", "Over time")), ...GROUPS.map(row("group", "Series together")), ...HISTOGRAMS.map(row("plain", "Histograms")),
  ...NUMBERS.map(([id, said]): Op => ({ id, said, kind: "number", menu: /[=<>]/.test(id) ? "Compare with a number" : "Calculate with a number", args: [number("number", /[=<>]/.test(id) ? "0" : "1")] })),
  ...PLAINS.map(row("plain", "Each value")),
];

const BY_ID = new Map(OPS.map((o) => [o.id, o]));
export const opOf = (id: string): Op | undefined => BY_ID.get(id);
export const isComparison = (id: string): boolean => /[=<>]/.test(id);
