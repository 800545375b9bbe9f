// dates.ts - a time written by a pattern of letters, as dashboards have them: "YYYY-MM-DD HH:mm".
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const pad = (n: number, to = 2): string => String(n).padStart(to, "0");

function zone(minutes: number, between: string): string {
  const m = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(m / 60))}${between}${pad(m % 60)}`;
}

// What each letter group stands for; `d` holds the wanted zone's clock in its UTC fields.
const TOKENS: Record<string, (d: Date, offset: number) => string> = {
  YYYY: (d) => String(d.getUTCFullYear()), YY: (d) => pad(d.getUTCFullYear() % 100), Q: (d) => String(Math.floor(d.getUTCMonth() / 3) + 1),
  MMMM: (d) => MONTHS[d.getUTCMonth()]!, MMM: (d) => MONTHS[d.getUTCMonth()]!.slice(0, 3), MM: (d) => pad(d.getUTCMonth() + 1), M: (d) => String(d.getUTCMonth() + 1),
  DD: (d) => pad(d.getUTCDate()), D: (d) => String(d.getUTCDate()), Do: (d) => ordinal(d.getUTCDate()),
  dddd: (d) => DAYS[d.getUTCDay()]!, ddd: (d) => DAYS[d.getUTCDay()]!.slice(0, 3), dd: (d) => DAYS[d.getUTCDay()]!.slice(0, 2), d: (d) => String(d.getUTCDay()),
  HH: (d) => pad(d.getUTCHours()), H: (d) => String(d.getUTCHours()), hh: (d) => pad(d.getUTCHours() % 12 || 12), h: (d) => String(d.getUTCHours() % 12 || 12),
  mm: (d) => pad(d.getUTCMinutes()), m: (d) => String(d.getUTCMinutes()), ss: (d) => pad(d.getUTCSeconds()), s: (d) => String(d.getUTCSeconds()),
  SSS: (d) => pad(d.getUTCMilliseconds(), 3), A: (d) => (d.getUTCHours() < 12 ? "AM" : "PM"), a: (d) => (d.getUTCHours() < 12 ? "am" : "pm"),
  Z: (_, o) => zone(o, ":"), ZZ: (_, o) => zone(o, ""),
  X: (d, o) => String(Math.floor((d.getTime() - o * 60000) / 1000)), x: (d, o) => String(d.getTime() - o * 60000),
};

function ordinal(n: number): string {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return n + tail;
}

// [letters in brackets] stand for themselves.
export function formatDate(ms: number, pattern: string, utc: boolean): string {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return "";
  const offset = utc ? 0 : -new Date(ms).getTimezoneOffset();
  const d = new Date(ms + offset * 60000);
  return pattern.replace(/\[([^\]]*)\]|YYYY|YY|Q|MMMM|MMM|MM|M|DD|Do|D|dddd|ddd|dd|d|HH|H|hh|h|mm|m|ss|s|SSS|A|a|ZZ|Z|X|x/g,
    (token, literal?: string) => literal ?? TOKENS[token]!(d, offset));
}
