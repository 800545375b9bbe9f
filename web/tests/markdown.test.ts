// Markdown of text panels: what CommonMark and GitHub's additions make of it, and that no text holds the page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { markdown } from "../observe/dash/panels/markdown";

const CASES: [text: string, html: string][] = [
  ["# A #\n\ntext **b** *i* _x_ ***bi*** ~~s~~ `c<`", "<h1>A</h1><p>text <strong>b</strong> <em>i</em> <em>x</em> <em><strong>bi</strong></em> <del>s</del> <code>c&lt;</code></p>"],
  ["a\nb  \nc\\\nd", "<p>a b<br> c<br> d</p>"],
  ["- a\n- b\n  - c\n- [x] d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>☑ d</li></ul>"],
  ["3. a\n\n   more\n4. b", '<ol start="3"><li><p>a</p><p>more</p></li><li><p>b</p></li></ol>'],
  ["-\ttab\n-\ttwo", "<ul><li>tab</li><li>two</li></ul>"],
  ["> q\nlazy\n\nafter", "<blockquote><p>q lazy</p></blockquote><p>after</p>"],
  ["```js\n1 < 2\n```\n    code", '<pre><code class="language-js">1 &lt; 2 </code></pre><pre><code>code </code></pre>'],
  ["| a | b |\n|:--|--:|\n| x \\| y | `z` |", '<table><thead><tr><th align="left">a</th><th align="right">b</th></tr></thead><tbody><tr><td align="left">x | y</td><td align="right"><code>z</code></td></tr></tbody></table>'],
  ['[t](/x "ti") ![i *j*](a.png) <http://auto.link> http://bare.link/x_y_z.', '<p><a href="/x" title="ti">t</a> <img src="a.png" alt="i j"> <a href="http://auto.link">http://auto.link</a> <a href="http://bare.link/x_y_z">http://bare.link/x_y_z</a>.</p>'],
  ["[ref] and [text][ref]\n\n[ref]: http://r.e/f 'T'", '<p><a href="http://r.e/f" title="T">ref</a> and <a href="http://r.e/f" title="T">text</a></p>'],
  ["Title\n===\n***", "<h1>Title</h1><hr>"],
  ["a_b_c 2*3*4 \\*not\\* &copy; &", "<p>a_b_c 2<em>3</em>4 *not* &copy; &amp;</p>"],
  ["<div>\n*x*\n\n*y*\n</div>", "<div>*x*<p><em>y</em></p></div>"],
  ["[![x](i.png)](http://l)", '<p><a href="http://l"><img src="i.png" alt="x"></a></p>'],
];

test("Markdown is what it is elsewhere", () => {
  for (const [text, html] of CASES)
    assert.equal(markdown(text).replace(/\s+/g, " ").replace(/ ?(<\/?(?:p|ul|ol|li|blockquote|table|thead|tbody|tr|th|td|pre|h1|hr|div)(?: [^>]*)?>) ?/g, "$1").trim(), html, text);
});

test("no text takes long", () => {
  const long = ["*a ", "[", "[a](\"", ">", "a**b_", "<a ", "<!-- ", "- ", "|a", "[a][", "http://a(", "![", "`` ` ", "\\", "&"].map((s) => s.repeat(20_000 / s.length));
  for (const text of long) {
    const began = performance.now();
    markdown(text);
    markdown(`${text}\n\n`.repeat(3));
    assert.ok(performance.now() - began < 2000, text.slice(0, 8));
  }
});
