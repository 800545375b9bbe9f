// value_panels.ts - the panels that most dashboards have, fetched together: apart they would be a dozen
// small files that share most of what they need.
export { default as stat } from "./stat";
export { default as gauge } from "./gauge";
export { default as bargauge } from "./bargauge";
export { default as piechart } from "./piechart";
export { default as text } from "./text";
export { default as table } from "./table";
