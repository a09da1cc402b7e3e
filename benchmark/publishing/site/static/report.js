"use strict";

// The leaderboard: which rows are shown, at which tolerance, in which order.
function leaderboard(table, form, status) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];

  function valueOf(row, column) {
    const cell = row.querySelector(`[data-column="${column}"]`);
    const shown = column === "valid" ? cell.querySelector("span:not([hidden])") : cell;
    const number = Number(shown.dataset.value);
    return Number.isNaN(number) ? shown.dataset.value : number;
  }

  function filter() {
    const methods = new Set(new FormData(form).getAll("method"));
    const task = form.elements.task.value;
    let count = 0;
    for (const row of body.rows) {
      const ofTask = task ? row.dataset.task === task : row.dataset.task !== "all";
      row.hidden = !(ofTask && methods.has(row.dataset.method));
      count += row.hidden ? 0 : 1;
      for (const span of row.querySelectorAll("[data-tolerance]")) {
        const { tolerance, counted } = span.dataset;
        span.hidden = tolerance !== form.elements.tolerance.value || counted !== form.elements.counted.value;
      }
    }
    // Columns that say nothing about what is shown.
    table.classList.toggle("no-task", task !== "");
    table.classList.toggle("no-single", task === "all");
    table.classList.toggle("no-whole", task !== "all");
    status.textContent = `${count} rows shown`;
    sort();
  }

  function sort() {
    const head = heads.find((cell) => cell.hasAttribute("aria-sort"));
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
  // Where no method has runs of every task there is nothing to show of all tasks together.
  if (!body.querySelector('[data-task="all"]')) form.elements.task.value = "";
  filter();
}

// A number opens what it comes from: a row a file, and of experiments what their pages say.
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
      row.append(...columns.map((column) => element("td", origin[column] ?? "—")));
      return row;
    }));
    table.parentElement.hidden = files.length === 0;
    const notes = origins.filter((origin) => origin.note);
    dialog.querySelector("ul").replaceChildren(...notes.map(({ file, note }) => element("li", `${file}: ${note}`)));
    dialog.showModal();
  });
}

// Charts follow the page's colours, and are drawn when they are first seen: hidden ones have no width.
function drawCharts() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  function config() {
    const style = getComputedStyle(document.documentElement);
    const [ink, faint, line] = ["--ink", "--faint", "--line"].map((name) => style.getPropertyValue(name).trim());
    const axis = { labelColor: ink, titleColor: ink, gridColor: line, domainColor: faint, tickColor: faint, labelFontSize: 12, titleFontSize: 13 };
    return { background: "transparent", axis, legend: { labelColor: ink, titleColor: ink, labelFontSize: 12 }, view: { stroke: line } };
  }

  async function draw(place, spec) {
    drawn.get(place)?.finalize();
    drawn.set(place, await window.vegaEmbed(place, { ...spec, config: config() }, { actions: false, renderer: "svg" }));
  }

  const specs = new Map();
  for (const script of document.querySelectorAll("script[data-chart]")) {
    specs.set(document.getElementById(script.dataset.chart), JSON.parse(script.textContent));
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !drawn.has(target)) draw(target, specs.get(target));
    }
  }, { rootMargin: "400px" });
  for (const place of specs.keys()) watcher.observe(place);
  dark.addEventListener("change", () => {
    for (const place of drawn.keys()) draw(place, specs.get(place));
  });
}

// One of several charts at a time.
for (const select of document.querySelectorAll("[data-switch]")) {
  select.addEventListener("change", () => {
    for (const choice of document.getElementById(select.dataset.switch).children) {
      choice.hidden = choice.dataset.choice !== select.value;
    }
  });
}

const table = document.getElementById("leaderboard");
if (table) leaderboard(table, document.getElementById("filters"), document.getElementById("shown"));
provenance(document.getElementById("runs"));
if (window.vegaEmbed) drawCharts();
