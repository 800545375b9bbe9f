// choices.ts - what is offered in a list, from its texts alone. It imports nothing: tables of forms are made
// with it while modules that import each other are still being loaded.
export const pick = (pairs: Record<string, string>) => Object.entries(pairs).map(([value, text]) => ({ value, text }));
export const count = (...texts: string[]) => texts.map((text, value) => ({ value, text }));
export const alike = (all: string[]) => all.map((value) => ({ value, text: value }));
