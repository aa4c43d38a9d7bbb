// Keeps measured figures fresh: once a minute, as they are counted by minute. What a person opened or is at work in stays.
import { copyable, times } from "./app.js";
import { whatIf } from "./trade.js";

setInterval(async () => {
  const main = document.querySelector("main");
  const busy = main.contains(document.activeElement) || main.querySelector("details[open]") || String(getSelection());
  if (busy || document.hidden) return;
  const answer = await fetch(location.href, { redirect: "error" }).catch(() => ({}));
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  times(fresh);
  copyable(fresh);
  whatIf(fresh);
  main.replaceWith(fresh);
}, 60_000);
