"use strict";
document.documentElement.classList.add("js");
for (const section of document.querySelectorAll(".task")) {
  const table = section.querySelector(".board");
  if (!table) continue;
  const rows = [...table.tBodies];
  const heads = [...table.tHead.rows[0].cells];

  const filter = section.querySelector("input[type=search]");
  const shown = section.querySelector("output");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.dataset.text;
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    shown.textContent = words.length ? `${count} of ${rows.length} rows` : "";
  });

  const value = (row, place) => row.rows[0].cells[place].dataset.sort ?? "";
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const numbers = [Number(a), Number(b)];
    return numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
  };
  heads.forEach((head, place) => {
    head.querySelector(".sort")?.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first;
      const other = first === "ascending" ? "descending" : "ascending";
      const next = now === first ? other : first;
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const missing = (row) => value(row, place) === "";
      rows
        .toSorted((a, b) =>
          missing(a) || missing(b)
            ? missing(a) - missing(b)
            : sign * compare(value(a, place), value(b, place)))
        .forEach((row) => table.append(row));
    });
  });

  for (const row of rows) {
    const button = row.querySelector(".open");
    const more = row.rows[1];
    button.addEventListener("click", () => {
      const open = more.classList.toggle("shown");
      more.querySelector("details").open = open;
      button.setAttribute("aria-expanded", String(open));
    });
  }
}
