// Shows the state that the server sends, and starts a scene without leaving the page. All values are set as text.
const words = { idle: "not played", running: "running", waiting: "still waiting", done: "arrived", failed: "did not arrive" };
const SVG = "http://www.w3.org/2000/svg";
const find = (selector, within = document) => within.querySelector(selector);
const plans = new Map(); // the steps as they were planned, to show again when a scene is played once more
let lanes = {};
let ahead = 0; // seconds by which the server's clock is ahead of the browser's

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function sign(way) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `way ${way}`);
  svg.setAttribute("viewBox", "0 0 20 12");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  svg.firstChild.setAttribute("href", `#w-${way}`);
  return svg;
}

function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function clock(instant) {
  const at = new Date(instant);
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

function localTimes(within) {
  for (const one of within.querySelectorAll("time")) {
    if (one.textContent.endsWith("UTC")) one.textContent = clock(one.dateTime);
    one.title = one.dateTime.replace("T", " ").replace("Z", " UTC");
  }
}

// One line of a scene: as planned, or as it happened.
function step(line, planned, seen, note) {
  const [mark, said, when] = line.children;
  if (!seen) {
    if (!line.classList.contains("plan")) {
      line.className = "plan";
      said.textContent = planned;
      when.replaceWith(element("span", note, { class: "note" }));
    } else setText(when, note);
    return;
  }
  const [at, elapsed, happened, event] = seen;
  if (!line.classList.contains("plan") && line.dataset.at === at) return;
  line.dataset.at = at;
  line.className = "new";
  said.textContent = event ? `${happened} ` : happened;
  if (event) {
    const short = `${event.slice(0, 7)}…${event.slice(-4)}`;
    said.append(element("a", short, { href: `/dashboard/events/${event}`, target: "tidegate", title: event }));
  }
  when.replaceWith(element("time", elapsed || clock(at), { datetime: at, title: at.replace("T", " ").replace("Z", " UTC") }));
}

function show(now) {
  ahead = now.at - Date.now() / 1000;
  lanes = now.lanes;
  for (const [name, value] of Object.entries(now.figures)) setText(find(`[data-figure="${name}"]`), value);
  for (const [name, run] of Object.entries(now.scenes)) {
    const scene = find(`[data-scene="${name}"]`);
    const turn = now.playing === name;
    if (turn && !scene.classList.contains("turn")) scene.scrollIntoView({ block: "nearest" });
    scene.className = `scene ${run.state}${turn ? " turn" : ""}`;
    const state = find(".sign", scene);
    state.className = `sign ${run.state}`;
    find("use", state).setAttribute("href", `#s-${run.state}`);
    setText(find("span", state), words[run.state]);
    for (const leg of scene.querySelectorAll("[data-leg]")) leg.classList.toggle("lit", run.lit.includes(Number(leg.dataset.leg)));
    [...find(".steps", scene).children].forEach((line, index) => {
      step(line, plans.get(name)[index], run.steps[index], run.steps[index - 1] && !run.steps[index] ? run.note : "");
    });
    const problem = find(".problem", scene);
    setText(problem, run.problem);
    problem.hidden = !run.problem;
    const cost = find(".cost", scene);
    if (cost.dataset.said !== String(run.cost)) {
      cost.dataset.said = String(run.cost);
      cost.replaceChildren(...run.cost.map(([way, said]) => {
        const part = element("span", said, { class: way });
        if (way !== "late") part.prepend(sign(way));
        return part;
      }));
    }
  }
  const all = find("[data-all]");
  all.disabled = Boolean(now.playing);
  setText(all, now.playing ? "Playing" : "Play all seven");
  draw();
}

// The last minute of requests: a short tick for one that brought nothing, a tall one for one that did.
function draw() {
  const at = Date.now() / 1000 + ahead;
  for (const svg of document.querySelectorAll("[data-lane]")) {
    const wide = 600 / Number(svg.dataset.seconds);
    const ticks = ["", ""];
    for (const [when, found] of lanes[svg.dataset.lane] || []) {
      const x = 600 - (at - when) * wide;
      if (x > 0) ticks[found] += `M${Math.min(x, 598).toFixed(1)} 43v${found ? -36 : -14}`;
    }
    find(".each", svg).setAttribute("d", ticks[0]);
    find(".found", svg).setAttribute("d", ticks[1]);
  }
}

for (const scene of document.querySelectorAll("[data-scene]")) {
  plans.set(scene.dataset.scene, JSON.parse(scene.dataset.plan));
}
localTimes(document);

for (const form of document.querySelectorAll('form[action^="/scenes/"]')) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("button", form);
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", headers: { Accept: "application/json" } });
      if (answer.ok) show(await answer.json());
    } finally {
      if (!("all" in button.dataset)) button.disabled = false;
      if (document.activeElement === document.body) button.focus({ preventScroll: true });
    }
  });
}

// The switch remembers in the cookie that the dashboard reads too.
const dark = matchMedia("(prefers-color-scheme: dark)");
find("[data-theme-switch]").addEventListener("click", (event) => {
  event.preventDefault();
  const chosen = document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
  const next = chosen === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  document.cookie = `tidegate_theme=${next}; path=/; max-age=31536000; samesite=strict`;
});

// The browser connects again by itself; after two seconds without the server the page says so.
const live = new EventSource("/live");
let silence = 0;
live.onmessage = (event) => {
  clearTimeout(silence);
  silence = 0;
  find(".away").hidden = true;
  show(JSON.parse(event.data));
};
live.onerror = () => {
  silence ||= setTimeout(() => { find(".away").hidden = false; }, 2000);
};
setInterval(draw, 1000);
