// late_math.ts - whether samples begin late in a range, and which range would show just them.
const LATE_SHARE = 0.6; // of the range is empty

// The first of `times` at which any of the lines has a value.
export function firstTime(times: ArrayLike<number>, lines: readonly { values: ArrayLike<unknown> }[]): number | undefined {
  for (let i = 0; i < times.length; i++)
    for (const { values } of lines) if (values[i] !== null && values[i] !== undefined) return times[i];
  return undefined;
}

export const isLate = (first: number | undefined, from: number, end: number): first is number =>
  first !== undefined && first < end && first - from > LATE_SHARE * (end - from);

// What is asked for then: up to now it stays so, by the shortest of the named ranges that has it all.
export function rangeFor(first: number, end: number, relative: boolean, named: readonly [string, string][]): [from: string, to: string] | undefined {
  const minutes = (text: string): number => Number(/\d+/.exec(text)![0]) * { m: 1, h: 60, d: 1440 }[text.slice(-1) as "m" | "h" | "d"];
  const quick = relative && named.find(([, from]) => minutes(from) * 60e3 >= end - first);
  return quick ? [quick[1], "now"] : undefined;
}
