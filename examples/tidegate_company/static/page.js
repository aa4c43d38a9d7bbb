// Keeps a page of the sample company up to date without a reload. Pauses while a person types.
const typing = () => document.activeElement && document.activeElement.matches("input, button");

async function refresh() {
  if (document.hidden || typing()) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || !answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = document.querySelector("main");
  const then = fresh.querySelector("main");
  const edited = [...now.querySelectorAll("input")].some((field) => field.value !== field.defaultValue);
  if (then && !edited && now.innerHTML !== then.innerHTML) now.replaceChildren(...then.childNodes);
}

if (document.querySelector("main.narrow")) setInterval(refresh, 2000);
