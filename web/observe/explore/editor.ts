// editor.ts - the PromQL editor: CodeMirror with Prometheus's own language package, which completes
// from our API. Loaded on first use. It lives in a shadow root: there CodeMirror brings its styles as
// constructed sheets, so that the page's policy needs no inline style.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import {
  copyLineDown, copyLineUp, cursorMatchingBracket, cursorSyntaxLeft, cursorSyntaxRight, deleteLine, history, historyKeymap, indentLess, indentMore,
  moveLineDown, moveLineUp, selectLine, selectParentSyntax, selectSyntaxLeft, selectSyntaxRight, simplifySelection, standardKeymap, toggleLineComment,
} from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, type KeyBinding, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { promql } from "./promql";

export interface Editor {
  text(): string;
  set(text: string): void;
  insert(text: string): void;
  dark(on: boolean): void;
  focus(): void;
  done(): void;
}

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  dark: boolean;
  base: string; // of the API
  label: string;
  variables?: () => string[]; // that `$` offers; none: `$` is a mistake
  onChange: (text: string) => void; // of what is typed, not of what set() puts in
  onRun: () => void;
  onHistory: (direction: -1 | 1) => void;
}

const colors = (dark: boolean) => HighlightStyle.define([
  { tag: tags.keyword, color: dark ? "#b79bff" : "#7c3aed" },
  { tag: tags.function(tags.variableName), color: dark ? "#7aa5ff" : "#1f55c4" },
  { tag: tags.string, color: dark ? "#5fd38d" : "#15803d" },
  { tag: tags.number, color: dark ? "#f2a65a" : "#b45309" },
  { tag: tags.labelName, color: dark ? "#4fd0e3" : "#0e7490" },
  { tag: tags.modifier, color: dark ? "#b79bff" : "#7c3aed" },
  { tag: tags.invalid, color: dark ? "#ff8a80" : "#b3261e" },
  { tag: tags.comment, color: dark ? "#98a2b3" : "#596273", fontStyle: "italic" },
]);

const look = (dark: boolean) => [
  EditorView.theme({
    "&": { color: "var(--text)", fontSize: "13.5px" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mono)", maxHeight: "260px", overflow: "auto" },
    ".cm-content": { caretColor: "var(--text)", padding: "6px 4px" },
    ".cm-cursor": { borderLeftColor: "var(--text)" },
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--soft)" },
    ".cm-placeholder": { color: "var(--dim)" },
    "&.cm-focused .cm-matchingBracket": { background: "var(--soft)", outline: "1px solid var(--edge)" },
    ".cm-tooltip": { background: "var(--card)", border: "1px solid var(--line)", borderRadius: "8px", boxShadow: "var(--shadow)", color: "var(--text)" },
    ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "300px" },
    ".cm-tooltip-autocomplete > ul > li": { padding: "3px 8px" },
    ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--soft)", color: "var(--text)" },
    ".cm-completionDetail": { color: "var(--dim)", fontStyle: "normal", marginLeft: "1em" },
    ".cm-completionIcon": { width: "1.2em", paddingRight: "0.6em", opacity: "0.7" },
    ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
    ".cm-tooltip.cm-completionInfo": { padding: "8px 10px", maxWidth: "380px" },
    ".cm-diagnostic": { padding: "4px 8px", whiteSpace: "pre-wrap" },
  }, { dark }),
  syntaxHighlighting(colors(dark)),
];

// The package's own keys, without those for several cursors, block comments and indentation by a language, which PromQL has not.
const LINE_KEYS: KeyBinding[] = [
  { key: "Alt-ArrowLeft", mac: "Ctrl-ArrowLeft", run: cursorSyntaxLeft, shift: selectSyntaxLeft },
  { key: "Alt-ArrowRight", mac: "Ctrl-ArrowRight", run: cursorSyntaxRight, shift: selectSyntaxRight },
  { key: "Alt-ArrowUp", run: moveLineUp }, { key: "Shift-Alt-ArrowUp", run: copyLineUp },
  { key: "Alt-ArrowDown", run: moveLineDown }, { key: "Shift-Alt-ArrowDown", run: copyLineDown },
  { key: "Escape", run: simplifySelection }, { key: "Alt-l", mac: "Ctrl-l", run: selectLine },
  { key: "Mod-i", run: selectParentSyntax, preventDefault: true }, { key: "Mod-[", run: indentLess }, { key: "Mod-]", run: indentMore },
  { key: "Shift-Mod-k", run: deleteLine }, { key: "Shift-Mod-\\", run: cursorMatchingBracket }, { key: "Mod-/", run: toggleLineComment },
];

export function openEditor(o: EditorOptions): Editor {
  const root = o.parent.shadowRoot ?? o.parent.attachShadow({ mode: "open" });
  const theme = new Compartment();
  let telling = true;
  const view = new EditorView({
    parent: root, root,
    state: EditorState.create({
      doc: o.text,
      extensions: [
        history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(),
        Prec.highest(keymap.of([
          { key: "Shift-Enter", run: (v) => { v.dispatch(v.state.replaceSelection("\n")); return true; } },
          { key: "Ctrl-ArrowUp", run: () => { o.onHistory(-1); return true; } },
          { key: "Ctrl-ArrowDown", run: () => { o.onHistory(1); return true; } },
          { key: "Mod-Enter", run: () => { o.onRun(); return true; } },
        ])),
        // Below the completion's keys: Enter takes what is offered, or runs.
        keymap.of([...closeBracketsKeymap, ...completionKeymap]),
        keymap.of([{ key: "Enter", run: () => { o.onRun(); return true; } }]),
        keymap.of([...historyKeymap, ...lintKeymap, ...LINE_KEYS, ...standardKeymap]),
        promql(o.variables), EditorView.lineWrapping, placeholder("PromQL, for example: sum by (job) (up)"),
        EditorView.contentAttributes.of({ "aria-label": o.label }),
        EditorView.updateListener.of((u) => { if (u.docChanged && telling) o.onChange(u.state.doc.toString()); }),
        theme.of(look(o.dark)),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    set: (text) => {
      if (text === view.state.doc.toString()) return;
      // Told back, it could undo a newer text that is on its way, which would come back in turn, without end.
      telling = false;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      telling = true;
    },
    insert: (text) => view.dispatch(view.state.replaceSelection(text)),
    dark: (on) => view.dispatch({ effects: theme.reconfigure(look(on)) }),
    focus: () => view.focus(),
    done: () => view.destroy(),
  };
}
