// Shows what the server tells, and starts a scene without leaving the page. All values are set as text.
const words = { idle: "not played yet", running: "on its way", done: "arrived", failed: "did not arrive" };

function line([at, said]) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const span = document.createElement("span");
  time.textContent = at;
  span.textContent = said;
  item.append(time, span);
  return item;
}

function show(now) {
  for (const [name, value] of Object.entries(now.figures)) {
    const cell = document.querySelector(`[data-figure="${name}"]`);
    if (cell && cell.textContent !== value) cell.textContent = value;
  }
  for (const [name, run] of Object.entries(now.scenes)) {
    const scene = document.querySelector(`[data-scene="${name}"]`);
    const state = scene.querySelector(".state");
    if (state.textContent !== words[run.state]) state.textContent = words[run.state];
    state.className = `state ${run.state}`;
    scene.querySelector(".cost").textContent = run.cost;
    for (const leg of scene.querySelectorAll("[data-leg]")) {
      leg.classList.toggle("lit", run.lit.includes(Number(leg.dataset.leg)));
    }
    if (run.lines.length) scene.querySelector(".log").replaceChildren(...run.lines.map(line));
  }
}

for (const form of document.querySelectorAll(".scene form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", headers: { Accept: "application/json" } });
      if (answer.ok) show(await answer.json());
    } finally {
      button.disabled = false;
      button.focus();
    }
  });
}

new EventSource("/live").onmessage = (event) => show(JSON.parse(event.data));
