// Keeps lists and the overview fresh. The stream only says "something happened"; what is shown is always asked of
// the server as finished HTML, so one template makes a row whether it was there or arrives.
import { copyable, times } from "./app.js";

const word = () => document.querySelector("[data-live-word]");
let on = false;
function tell(state) {
  on = state;
  const sign = document.querySelector("[data-live]");
  if (!sign) return;
  sign.dataset.live = state ? "on" : "off";
  word().textContent = state ? "live" : "not live, trying again";
}

async function fragment(url) {
  const answer = await fetch(url, { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  return holder.content;
}

// A part is replaced as a whole. What a person opened stays open, and nothing moves under a hand that is at work in it.
function busy(part) {
  const at = document.activeElement;
  return part.contains(at) || part.querySelector(".confirm[open]") || String(getSelection()).length > 0;
}

async function refreshParts() {
  const parts = [...document.querySelectorAll("[data-live-part]")];
  if (!parts.length || parts.some(busy) || document.hidden) return;
  const address = parts[0].dataset.livePart || location.pathname + location.search;
  const fresh = [...(await fragment(address)).querySelectorAll("[data-live-part]")];
  if (fresh.length !== parts.length || parts.some(busy)) return;
  parts.forEach((part, i) => replace(part, fresh[i]));
  tell(on);
}

function replace(part, fresh) {
  for (const old of part.querySelectorAll("details[data-keep]")) {
    const next = fresh.querySelector(`details[data-keep="${CSS.escape(old.dataset.keep)}"]`);
    if (next) next.open = old.open;
  }
  times(fresh);
  copyable(fresh);
  part.replaceWith(fresh);
}

async function addRows() {
  const body = document.querySelector("[data-live-rows]");
  if (!body || document.hidden) return;
  const newest = body.querySelector("tr")?.dataset.offset ?? "0";
  const url = new URL(body.dataset.liveRows, location.href);
  url.searchParams.set("after", newest);
  const fresh = await fragment(url);
  const rows = [...fresh.querySelectorAll("tr[data-offset]")];
  for (const row of rows) row.classList.add("new");
  times(fresh);
  body.prepend(...rows);
  while (body.rows.length > 200) body.rows[body.rows.length - 1].remove();
}

let waiting = 0;
function soon() {
  if (waiting) return;
  waiting = setTimeout(async () => {
    waiting = 0;
    try {
      await Promise.all([refreshParts(), addRows()]);
    } catch {
      tell(false);
    }
  }, 400);
}

// A hidden page holds no stream: browsers allow six connections to one host, all tabs together.
let stream;
function listen() {
  if (document.hidden) {
    stream?.close();
    stream = undefined;
    return;
  }
  if (stream && stream.readyState !== EventSource.CLOSED) return;
  stream = new EventSource("/api/v1/events/stream");
  stream.onopen = () => tell(true);
  stream.onerror = () => tell(false);
  stream.onmessage = soon;
  stream.addEventListener("reconnect", soon);
}
listen();
document.addEventListener("visibilitychange", () => {
  listen();
  soon();
});
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (back) => back.persisted && listen());
const every = Number(document.querySelector("[data-every]")?.dataset.every ?? 0);
if (every) setInterval(soon, every * 1000); // deliveries move without an event
