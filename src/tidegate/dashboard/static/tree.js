// The payload of one event: click a name to copy its path, type to find.
import { all, one, toast } from "./app.js";

const tree = one("[data-tree]");
if (tree) {
  const path = (name) => {
    const parts = [];
    for (let item = name.closest("li"); item; item = item.parentElement.closest("li")) {
      parts.unshift(one("b", item)?.textContent ?? "");
    }
    return ["data", ...parts].join(".");
  };
  for (const name of all("b", tree)) name.title = `copy ${path(name)}`;
  tree.addEventListener("click", (click) => {
    if (click.target.tagName !== "B" || !navigator.clipboard) return;
    click.preventDefault();
    const text = path(click.target);
    navigator.clipboard.writeText(text).then(() => toast(`Copied ${text}`));
  });
  const find = one("[data-tree-search]");
  if (find) find.hidden = false;
  if (find) one("input", find).addEventListener("input", (typed) => {
    const wanted = typed.target.value.toLowerCase();
    for (const node of all("b, span", tree)) {
      const hit = wanted !== "" && node.textContent.toLowerCase().includes(wanted);
      node.classList.toggle("hit", hit);
      if (hit) for (let d = node.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    }
  });
}
