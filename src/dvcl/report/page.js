"use strict";
// Tables sort by a click on a heading, and long ones have a field that filters their rows.
(() => {
  const LONG = 8; // rows
  const NUMBER = /^[<>≤≥±+]?\s*([-−]?\d+(?:\.\d+)?)/;
  // What the first click does, and the second; the third brings back the page's own order.
  const TURNS = { numbers: ["descending", "ascending"], words: ["ascending", "descending"] };

  const textOf = (row, column) => row.cells[column].textContent.trim();
  const numberOf = (row, column) =>
    Number((NUMBER.exec(textOf(row, column))?.[1] ?? "NaN").replace("−", "-"));

  function kindOf(rows, column) {
    const isNumeric = rows.some((row) => !Number.isNaN(numberOf(row, column)));
    return column > 0 && isNumeric ? "numbers" : "words";
  }

  function sorted(rows, column, kind, turn) {
    const sign = turn === "ascending" ? 1 : -1;
    const byWords = (a, b) =>
      sign * textOf(a, column).localeCompare(textOf(b, column), undefined, { numeric: true });
    // What has no number (an undefined score) comes last, whichever way the rest is sorted.
    const byNumbers = (a, b) => {
      const [one, other] = [numberOf(a, column), numberOf(b, column)];
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
      return sign * (one - other);
    };
    return [...rows].sort(kind === "numbers" ? byNumbers : byWords);
  }

  function sortable(table, rows) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const kind = kindOf(rows, column);
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const turn = TURNS[kind][TURNS[kind].indexOf(heading.getAttribute("aria-sort")) + 1];
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        if (turn) heading.setAttribute("aria-sort", turn);
        table.tBodies[0].prepend(...(turn ? sorted(rows, column, kind, turn) : rows));
      });
    });
  }

  function filterable(figure, rows) {
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = `Filter ${rows.length} rows`;
    field.setAttribute("aria-label", "Show the rows that hold this text");
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
    });
    figure.prepend(field);
  }

  document.querySelectorAll("figure.table").forEach((figure) => {
    const table = figure.querySelector("table");
    const rows = [...table.tBodies[0].rows];
    const means = rows.findIndex((row) => row.classList.contains("means"));
    const movable = means < 0 ? rows : rows.slice(0, means); // means stay at the end
    if (movable.length > 1) sortable(table, movable);
    if (movable.length >= LONG) filterable(figure, movable);
  });
})();
