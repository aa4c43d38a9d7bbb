// What if: a slider beside the form changes the table, the curve and the answer at once. Without this file the server does.
import { all, one } from "./app.js";

const money = (cost) => (cost > 0 && cost < 0.01 ? "<0.01" : cost.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }));
export function whatIf(root = document) {
  const form = one(".ask", root);
  if (!form) return;
  const { late, price } = form.elements;
  const rows = all(".what [data-n]", root);
  const slider = Object.assign(document.createElement("input"), { type: "range", max: rows.length - 1 });
  slider.setAttribute("aria-label", late.parentNode.firstChild.textContent);
  const text = (cell) => cell.firstChild.textContent.trim();
  const show = () => {
    const valid = /^\d{1,6}(\.\d{1,9})?$/.test(price.value);
    price.setAttribute("aria-invalid", !valid && price.value !== "");
    rows.forEach((row, place) => {
      const on = place === late.selectedIndex;
      row.classList.toggle("on", on);
      one(`.curve [href="#${row.id}"]`, root)?.classList.toggle("on", on);
      if (valid) row.cells[4].textContent = money(price.value * row.dataset.n + +row.dataset.c);
    });
    const [far, median, requests, empty, cost] = [...rows[late.selectedIndex].cells].map(text);
    one("output b", form).textContent = `${requests} requests per day`;
    one("output span", form).textContent = `${far}: median delay ${median}, empty polls ${empty}, cost ${cost}`;
    slider.value = late.selectedIndex;
    slider.setAttribute("aria-valuetext", far);
  };
  form.addEventListener("input", (input) => {
    if (input.target === slider) late.selectedIndex = slider.value;
    show();
    const there = new URL(location.href);
    for (const field of [late, price]) there.searchParams.set(field.name, field.value);
    history.replaceState(null, "", there); // loading the page again shows the same
  });
  one("output", form).before(slider);
  show();
}
whatIf();
