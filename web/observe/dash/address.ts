// address.ts - what of a dashboard is in its address besides variables and time: the one panel that is
// viewed (viewPanel=panel-12, as Grafana has it; 12 and our keys are understood) and the kiosk.
import { parameter, route, setQuery } from "../base/route";

export const viewed = (): string => parameter("viewPanel");

// "" goes back to all of them.
export const viewOne = (key: string): void => setQuery({ viewPanel: key || null }, true);

export const isViewed = (wanted: string, key: string, id: number): boolean => wanted === key || wanted === `panel-${id}` || wanted === String(id);

export const inKiosk = (): boolean => route.value.query.has("kiosk");
export const setKiosk = (on: boolean): void => setQuery({ kiosk: on ? "1" : null });
