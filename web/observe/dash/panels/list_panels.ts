// list_panels.ts - the panels that are lists, fetched together.
export { default as logs } from "./logs";
export { default as alertlist } from "./alertlist";
export { default as dashlist } from "./dashlist";
export { default as annolist } from "./annolist";
export { default as note } from "./notes";
