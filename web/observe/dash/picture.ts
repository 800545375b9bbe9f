// picture.ts - a panel's chart as a picture: its title and what its canvases show, on its own ground.
const HEAD = 30;

export function pngOf(box: HTMLElement): Promise<Blob | null> {
  const body = box.querySelector<HTMLElement>(".panel-body")!;
  const at = body.getBoundingClientRect();
  const scale = devicePixelRatio || 1;
  const out = document.createElement("canvas");
  out.width = Math.round(at.width * scale);
  out.height = Math.round((at.height + HEAD) * scale);
  const g = out.getContext("2d")!;
  const style = getComputedStyle(document.documentElement);
  g.scale(scale, scale);
  g.fillStyle = style.getPropertyValue("--card");
  g.fillRect(0, 0, at.width, at.height + HEAD);
  g.fillStyle = style.getPropertyValue("--text");
  g.font = "600 14px system-ui, sans-serif";
  g.fillText(box.dataset.panelTitle ?? "", 10, 20);
  for (const c of body.querySelectorAll("canvas")) {
    const r = c.getBoundingClientRect();
    if (r.width && r.height) g.drawImage(c, r.left - at.left, r.top - at.top + HEAD, r.width, r.height);
  }
  return new Promise((done) => out.toBlob(done, "image/png"));
}
