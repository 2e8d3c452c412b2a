"use strict";
(() => {
  for (const controls of document.querySelectorAll(".controls")) controls.hidden = false;

  // Sorting: each header of a sortable table becomes a button; what has no value comes last, ties keep their order.
  const valueOf = (row, column, isNumber) => {
    const text = row.cells[column].dataset.value ?? "";
    return isNumber ? (text === "" ? NaN : Number(text)) : text;
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  const isMissing = (value) => value === "" || Number.isNaN(value);
  const sort = (table, header) => {
    const headers = [...header.parentElement.cells];
    const column = headers.indexOf(header);
    const isNumber = header.dataset.kind === "number";
    const first = isNumber && header.textContent.trim() !== "rank" ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    const order = header.getAttribute("aria-sort") === first ? second : first;
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [valueOf(row, column, isNumber), row]);
    rows.sort(([a], [b]) => isMissing(a) - isMissing(b) || (isMissing(a) ? 0 : sign * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
  }

  // Filtering: every word must be in the row.
  const [filter, above, shown] = ["filter", "above", "shown"].map((id) => document.getElementById(id));
  const rows = [...document.getElementById("board").tBodies[0].rows];
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.dataset.search.toLowerCase();
      row.hidden = (above.checked && !(Number(row.dataset.fitness) > 1)) || !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${rows.length} cells`;
  };
  filter.addEventListener("input", apply);
  above.addEventListener("change", apply);
  apply();

  // A link to a cell opens it.
  const cards = document.querySelectorAll("details.card");
  const openTarget = () => {
    const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (card instanceof HTMLDetailsElement) {
      card.open = true;
      card.scrollIntoView();
      card.querySelector("summary").focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", openTarget);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && link.getAttribute("href") === location.hash) openTarget(); // no hashchange comes
  });
  openTarget();
  for (const [id, open] of [["open-all", true], ["close-all", false]]) {
    document.getElementById(id)?.addEventListener("click", () => cards.forEach((card) => (card.open = open)));
  }
  const best = document.querySelector("tr:not(.founder)[data-fitness] a.id");
  if (best && !location.hash) document.getElementById(best.getAttribute("href").slice(1)).open = true;
})();
