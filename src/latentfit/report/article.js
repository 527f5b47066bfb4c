// The article of a latentfit report: tables that can be sorted and copied, columns that explain themselves, contents
// that follow the reading.
"use strict";
(() => {
  // ---- tables

  /** What a cell is sorted by: its first number; what has none comes last, whichever way. */
  const worth = (cell) => {
    const [number] = cell.textContent.match(/-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?/) || [];
    return number === undefined ? Infinity : Number(number.replaceAll(",", ""));
  };

  function sort(table, column, down) {
    const way = down ? -1 : 1;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [a, b].map((row) => worth(row.cells[column]));
      if (x === y) return way * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
      return x === Infinity || y === Infinity ? x - y : way * (x - y);
    });
    table.tBodies[0].append(...rows);
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function button(name, ...children) {
    const made = Object.assign(document.createElement("button"), { type: "button", className: name });
    made.append(...children);
    return made;
  }

  // ---- what a column means: on hover, focus and tap

  const term = Object.assign(document.createElement("div"), { id: "term", hidden: true });
  term.setAttribute("role", "tooltip");
  document.body.append(term);

  function explain(head, by) {
    const show = () => {
      term.textContent = head.dataset.term;
      term.hidden = false;
      by.setAttribute("aria-describedby", "term");
      const place = head.getBoundingClientRect(), size = term.getBoundingClientRect();
      term.style.left = `${Math.max(8, Math.min(place.left, innerWidth - size.width - 8))}px`;
      term.style.top = `${place.top > size.height + 12 ? place.top - size.height - 6 : place.bottom + 6}px`;
    };
    const hide = () => { term.hidden = true; by.removeAttribute("aria-describedby"); };
    for (const name of ["mouseenter", "focusin", "click"]) head.addEventListener(name, show);
    for (const name of ["mouseleave", "focusout"]) head.addEventListener(name, hide);
    addEventListener("scroll", hide, { passive: true });
    by.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  }

  function enliven(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const by = button("sort", ...head.childNodes);
      by.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") === "ascending"));
      head.append(by);
      if (head.dataset.term) explain(head, by);
    });
    const copy = button("copy", "Copy table"), said = document.createElement("span");
    said.setAttribute("role", "status");
    copy.addEventListener("click", () => {
      getSelection().selectAllChildren(table);
      const copied = document.execCommand("copy");
      said.textContent = copied ? " Copied." : " Selected: copy it.";
      if (copied) getSelection().removeAllRanges();
      setTimeout(() => { said.textContent = ""; }, 3000);
    });
    table.parentElement.after(copy, said);
  }

  // ---- contents

  const contents = document.querySelector(".contents");
  const links = [...contents.querySelectorAll("a")];
  const parts = links.map((link) => document.getElementById(link.hash.slice(1)));

  let asked = links.findIndex((link) => link.hash === location.hash);
  links.forEach((link, i) => link.addEventListener("click", () => { asked = i; soon(); }));

  /** Mark the last part whose heading is above the window or at its top. At the end of the page, where no heading can
   *  come to the top, mark the one that was asked for, or else the last. */
  function follow() {
    const tops = parts.map((part) => part.getBoundingClientRect().top);
    const top = 40 + (parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0);
    let here = tops.filter((y) => y < top).length - 1;
    if (scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2) {
      here = asked >= 0 && tops[asked] >= 0 && tops[asked] < innerHeight ? asked : parts.length - 1;
    }
    links.forEach((link, i) => {
      if (i === here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    if (here >= 0) contents.scrollLeft = links[here].offsetLeft - contents.clientWidth / 3;
  }

  let waiting = false;
  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; follow(); });
  }

  document.querySelectorAll(".scroll table").forEach(enliven);
  addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(document.body);
})();
