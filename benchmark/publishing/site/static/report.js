"use strict";

const DASH = "—";

// The leaderboard: rows shown, tolerance and order.
function leaderboard(table, form, status) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];

  function cellOf(row, column) {
    const cell = row.querySelector(`[data-column="${column}"]`);
    return column === "valid" ? cell.querySelector("span:not([hidden])") : cell;
  }

  function valueOf(row, column) {
    const { value } = cellOf(row, column).dataset;
    const number = Number(value);
    return Number.isNaN(number) ? value : number;
  }

  function filter() {
    const methods = new Set(new FormData(form).getAll("method"));
    const task = form.elements.task.value;
    const shown = [];
    for (const row of body.rows) {
      const ofTask = task ? row.dataset.task === task : row.dataset.task !== "all";
      row.hidden = !(ofTask && methods.has(row.dataset.method));
      if (!row.hidden) shown.push(row);
      for (const span of row.querySelectorAll("[data-tolerance]")) {
        const { tolerance, counted } = span.dataset;
        span.hidden = tolerance !== form.elements.tolerance.value || counted !== form.elements.counted.value;
      }
    }
    status.textContent = `${shown.length} rows shown`;
    hideEmptyColumns(shown, task !== "");
    sort();
  }

  // Hide columns without numbers, and the task if all rows have the same one.
  function hideEmptyColumns(shown, oneTask) {
    for (const head of heads) {
      const column = head.dataset.sort;
      const empty = shown.every((row) => ["", DASH].includes(cellOf(row, column).textContent.trim()));
      head.hidden = (empty && shown.length > 0) || (column === "task" && oneTask);
      for (const cell of body.querySelectorAll(`[data-column="${column}"]`)) cell.hidden = head.hidden;
    }
  }

  function sort() {
    const head = heads.find((cell) => cell.hasAttribute("aria-sort"));
    if (!head) return;
    const sign = head.getAttribute("aria-sort") === "descending" ? -1 : 1;
    const rows = [...body.rows].map((row) => [valueOf(row, head.dataset.sort), row]);
    rows.sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
    body.append(...rows.map(([, row]) => row));
  }

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "ascending" : "descending");
      sort();
    });
    head.replaceChildren(button);
  }
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  // If no method has runs of every task, there are no rows for all tasks together.
  if (!body.querySelector('[data-task="all"]')) form.elements.task.value = "";
  filter();
}

// Two methods side by side, named at the end of the address: columns, with significantly better numbers in bold, and curves.
function compare(table, form, redraw) {
  function show() {
    const pair = [form.elements.first.value, form.elements.second.value];
    for (const cell of table.querySelectorAll("[data-method]")) {
      cell.hidden = !pair.includes(cell.dataset.method);
      cell.classList.remove("strong");
    }
    const cellsOf = (row) => pair.map((method) => row.querySelector(`[data-method="${CSS.escape(method)}"]`));
    for (const row of table.querySelectorAll("tr:has([data-method])")) row.firstElementChild.after(...cellsOf(row));
    for (const row of table.querySelectorAll("tr[data-better]")) {
      const cells = cellsOf(row);
      row.hidden = cells.every((cell) => cell.textContent.trim() === DASH);
      const [a, b] = cells.map((cell) => [Number(cell.dataset.low), Number(cell.dataset.high)]);
      const [above, below] = [a[0] > b[1], a[1] < b[0]];
      const high = row.dataset.better === "high";
      cells[0].classList.toggle("strong", high ? above : below);
      cells[1].classList.toggle("strong", high ? below : above);
    }
    for (const head of table.querySelectorAll(".group th")) head.colSpan = 3;
    for (const group of table.tBodies) group.hidden = [...group.rows].slice(1).every((row) => row.hidden);
    redraw([...pair, form.dataset.reference]);
  }

  function follow() {
    const [first, second] = decodeURIComponent(location.hash.slice(1)).split(",");
    for (const [name, method] of [["first", first], ["second", second]]) {
      const select = form.elements[name];
      if ([...select.options].some((option) => option.value === method)) select.value = method;
    }
    show();
  }

  form.addEventListener("change", () => {
    history.replaceState(null, "", `#${form.elements.first.value},${form.elements.second.value}`);
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", follow);
  follow();
}

// A number opens its sources: one row per file, and the captions of experiments.
function provenance(dialog) {
  const table = dialog.querySelector("table");
  const columns = [...table.tHead.rows[0].cells].map((head) => head.textContent);

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sources]");
    if (!button) return;
    const origins = button.dataset.sources.split(" ").flatMap((name) => window.SOURCES[name]);
    const files = origins.filter((origin) => !origin.note);
    dialog.querySelector("h2").textContent = button.dataset.about;
    table.tBodies[0].replaceChildren(...files.map((origin) => {
      const row = document.createElement("tr");
      row.append(...columns.map((column) => element("td", origin[column] ?? DASH)));
      return row;
    }));
    table.parentElement.hidden = files.length === 0;
    const notes = origins.filter((origin) => origin.note);
    dialog.querySelector("ul").replaceChildren(...notes.map(({ file, note }) => element("li", `${file}: ${note}`)));
    dialog.showModal();
  });
}

// A chart of only these methods.
function only(spec, methods) {
  const copy = structuredClone(spec);
  for (const [name, rows] of Object.entries(copy.datasets)) {
    copy.datasets[name] = rows.filter((row) => methods.includes(row.method));
  }
  for (const layer of copy.layer ?? [copy]) {
    for (const channel of ["color", "shape", "strokeDash"]) {
      const scale = layer.encoding?.[channel]?.scale;
      if (!scale?.domain) continue;
      const kept = scale.domain.map((method, i) => [method, scale.range[i]]).filter(([name]) => methods.includes(name));
      scale.domain = kept.map(([method]) => method);
      scale.range = kept.map(([, value]) => value);
    }
  }
  return copy;
}

// Charts are drawn when the page opens, for printing and screenshots; charts in a hidden part, which has no width, are
// drawn when it is shown. Their colours are those of the page's scheme.
function makeCharts() {
  const [ink, faint, line] = ["var(--ink)", "var(--faint)", "var(--line)"];
  const axis = { labelColor: ink, titleColor: ink, gridColor: line, domainColor: faint, tickColor: faint, labelFontSize: 12, titleFontSize: 13 };
  const config = { background: "transparent", axis, legend: { labelColor: ink, titleColor: ink, labelFontSize: 12 }, view: { stroke: line } };
  const specs = new Map();
  for (const script of document.querySelectorAll("script[data-chart]")) {
    specs.set(document.getElementById(script.dataset.chart), JSON.parse(script.textContent));
  }
  for (const place of document.querySelectorAll("[data-learning]")) {
    specs.set(place, window.LEARNING[place.dataset.learning]);
  }
  const drawn = new Map();

  async function draw(change = (spec) => spec) {
    for (const [place, spec] of specs) {
      if (place.offsetParent === null) continue;
      drawn.get(place)?.finalize();
      drawn.set(place, await window.vegaEmbed(place, { ...change(spec), config }, { actions: false, renderer: "svg" }));
    }
  }

  return { draw, drawNew: () => [...specs.keys()].some((place) => !drawn.has(place)) && draw() };
}

// A table that is wider than its container says so until it is scrolled to its end.
function hints() {
  for (const place of document.querySelectorAll(".scroll")) {
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "Scroll the table sideways for more columns →";
    place.after(hint);
    const update = () => {
      const more = place.scrollWidth - place.clientWidth - place.scrollLeft > 4;
      hint.hidden = place.scrollWidth - place.clientWidth <= 4;
      place.classList.toggle("more", more);
    };
    place.addEventListener("scroll", update, { passive: true });
    new ResizeObserver(update).observe(place);
    new ResizeObserver(update).observe(place.firstElementChild);
  }
}

const charts = window.vegaEmbed ? makeCharts() : null;
// Show one of several charts at a time.
for (const select of document.querySelectorAll("[data-switch]")) {
  select.addEventListener("change", () => {
    for (const choice of document.getElementById(select.dataset.switch).children) {
      choice.hidden = choice.dataset.choice !== select.value;
    }
    charts.drawNew();
  });
}

const phone = window.matchMedia("(max-width: 40rem)");
const menu = document.getElementById("menu");
menu.addEventListener("click", () => {
  menu.setAttribute("aria-expanded", String(menu.getAttribute("aria-expanded") !== "true"));
});
const filter = document.getElementById("filter");
if (filter) {
  const fold = () => { filter.open = !phone.matches; };
  phone.addEventListener("change", fold);
  fold();
}
const table = document.getElementById("leaderboard");
if (table) leaderboard(table, document.getElementById("filters"), document.getElementById("shown"));
const pairs = document.getElementById("pairs");
if (pairs) compare(pairs, document.getElementById("pair"), (shown) => charts.draw((spec) => only(spec, shown)));
else charts?.draw();
hints();
provenance(document.getElementById("runs"));
