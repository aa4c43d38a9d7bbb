// What every page gets on top of plain HTML: local times, keys, the theme switch, toasts.
// Without this file every page still reads and every action still works.
export const one = (query, root = document) => root.querySelector(query);
export const all = (query, root = document) => [...root.querySelectorAll(query)];

// -- times: relative under an hour, else local; UTC stays in the title ------------------------------------
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const NARROW = "\u202f";
export function times(root = document) {
  const now = Date.now();
  for (const node of all("time[datetime]", root)) {
    const at = Date.parse(node.dateTime);
    const ago = Math.round((now - at) / 1000);
    const far = Math.abs(ago);
    node.title = new Date(at).toISOString().replace("T", " ").replace("Z", " UTC");
    const span = far < 60 ? `${far}${NARROW}s` : `${Math.floor(far / 60)}${NARROW}min`;
    node.textContent = far >= 3600 ? day.format(at) : far < 1 ? "now" : ago > 0 ? `${span} ago` : `in ${span}`;
  }
}
times();
setInterval(times, 5000);
const zone = one("[data-zone]");
const zoneName = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && zoneName !== "UTC") zone.textContent = `${zoneName}, with UTC on hover`;

// -- the navigation scrolls sideways on a phone: the current page is seen -----------------------------------
const here = one(".bar nav [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft + here.offsetWidth - here.parentElement.clientWidth;

// -- theme: the server writes it into the page, so nothing flashes ---------------------------------------
const themeSwitch = one("[data-theme-switch]");
themeSwitch?.addEventListener("click", (click) => {
  click.preventDefault();
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `tidegate_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
});

// -- keys ------------------------------------------------------------------------------------------------
const help = one("dialog[data-keys]");
const helpButton = one("[data-help]");
if (helpButton) {
  helpButton.hidden = false;
  helpButton.addEventListener("click", () => help.showModal());
}
function move(step) {
  const rows = all("[data-list] a.open");
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement);
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + step));
  rows[next].focus();
  rows[next].closest("tr").scrollIntoView({ block: "nearest" });
}
function search() {
  const field = one("[data-search]");
  if (field) field.select();
  else location.href = "/events#search";
}
function replay() {
  const here = document.activeElement?.closest("section,tr") ?? document;
  const target = one("[data-key=r]", here) ?? one("[data-key=r]");
  if (target?.matches("summary")) target.parentElement.open = true;
  (target?.matches("summary") ? one("button", target.parentElement) : target)?.focus();
}
if (location.hash === "#search") one("[data-search]")?.focus();
let going = 0;
const keys = {
  "/": search,
  j: () => move(1),
  k: () => move(-1),
  r: replay,
  "?": () => help?.showModal(),
  g: () => (going = Date.now()),
};
function close(except) {
  for (const open of all(".confirm[open]")) if (!open.contains(except)) open.open = false;
}
addEventListener("click", (click) => close(click.target));
addEventListener("keydown", (press) => {
  if (press.key === "Escape") close(null);
  if (press.ctrlKey || press.metaKey || press.altKey || press.isComposing) return;
  if (press.target.closest("input,select,textarea,dialog[open]")) {
    if (press.key === "Escape") press.target.blur();
    return;
  }
  if (Date.now() - going < 1500) {
    going = 0;
    const link = all("[data-go]").find((a) => a.dataset.go === press.key);
    if (link) link.click();
    return;
  }
  const act = keys[press.key];
  if (!act) return;
  press.preventDefault();
  act();
});

// -- copy: the whole text comes from the server, because a page may show a part of it ----------------------
export function copyable(root = document) {
  if (!navigator.clipboard) return; // only in a secure context; the plain text is a link beside it
  for (const button of all("[data-copy]", root)) button.hidden = false;
}
copyable();
addEventListener("click", async (click) => {
  const button = click.target.closest?.("[data-copy]");
  if (!button) return;
  try {
    const answer = await fetch(button.dataset.copy, { redirect: "error" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    await navigator.clipboard.writeText(await answer.text());
    toast("Copied");
  } catch {
    toast("Not copied. Open the plain text instead.");
  }
});

// -- toasts: what an action answered leaves by itself, a failure stays until it is read ---------------------
const done = new URL(location.href);
if (done.searchParams.has("done")) {
  done.searchParams.delete("done");
  history.replaceState(null, "", done); // loading the page again does not tell it again
}
leave(one("[data-toast]:not(.bad)"), 8000);
function leave(note, after) {
  if (!note) return;
  const go = () => (note.matches(":hover,:focus-within") ? setTimeout(go, 1000) : note.remove());
  setTimeout(go, after);
}
export function toast(words) {
  one(".toast")?.remove();
  const note = document.createElement("div");
  note.className = "toast";
  note.setAttribute("role", "status");
  note.textContent = words;
  document.body.append(note);
  leave(note, 3000);
}
