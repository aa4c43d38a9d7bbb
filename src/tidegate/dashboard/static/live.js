// Keeps lists and the overview fresh. The stream only says "something happened"; what is shown is always asked of
// the server as finished HTML, so one template makes a row whether it was there or arrives.
import { times } from "./app.js";

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

async function refreshPart() {
  const part = document.querySelector("[data-live-part]");
  if (!part || part.contains(document.activeElement) || document.hidden) return;
  const fresh = (await fragment(part.dataset.livePart)).querySelector("[data-live-part]");
  const twin = part.querySelector("details.twin");
  if (twin?.open) fresh.querySelector("details.twin").open = true;
  part.replaceWith(fresh);
  tell(on);
  times(fresh);
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
      await Promise.all([refreshPart(), addRows()]);
    } catch {
      tell(false);
    }
  }, 400);
}

const stream = new EventSource("/api/v1/events/stream");
stream.onopen = () => tell(true);
stream.onerror = () => tell(false);
stream.onmessage = soon;
stream.addEventListener("event", soon);
stream.addEventListener("reconnect", soon);
const every = Number(document.querySelector("[data-every]")?.dataset.every ?? 0);
if (every) setInterval(soon, every * 1000); // deliveries move without an event
document.addEventListener("visibilitychange", soon);
