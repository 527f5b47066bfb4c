// The article of a latentfit report: tables that can be sorted and copied, and contents that follow the reading.
"use strict";
(() => {
  // ---- tables

  /** What a cell is sorted by: its first number; what has none comes last. */
  const worth = (cell) => {
    const [number] = cell.textContent.match(/-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?/) || [];
    return number === undefined ? Infinity : Number(number.replaceAll(",", ""));
  };

  function sort(table, column, down) {
    const rows = [...table.tBodies[0].rows];
    const key = (row) => worth(row.cells[column]);
    const words = (a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent);
    rows.sort((a, b) => (key(a) === key(b) ? words(a, b) : key(a) - key(b)));
    table.tBodies[0].append(...(down ? rows.reverse() : rows));
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

  function enliven(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const by = button("sort", ...head.childNodes);
      by.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") === "ascending"));
      head.append(by);
    });
    const copy = button("copy", "Copy table");
    copy.addEventListener("click", () => {
      getSelection().selectAllChildren(table);
      copy.textContent = document.execCommand("copy") ? "Copied" : "Selected: copy it";
      if (copy.textContent === "Copied") getSelection().removeAllRanges();
    });
    table.parentElement.after(copy);
  }

  // ---- contents

  const contents = document.querySelector(".contents");
  const links = [...contents.querySelectorAll("a")];
  const parts = links.map((link) => document.getElementById(link.hash.slice(1)));

  /** Mark the last part whose heading is above the window or at its top; at the end of the page the last of all. */
  function follow() {
    const end = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const here = end ? parts.length - 1 : parts.findLastIndex((part) => part.getBoundingClientRect().top < 100);
    links.forEach((link, i) => {
      if (i === here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    if (here >= 0) contents.scrollLeft = links[here].offsetLeft - contents.clientWidth / 3;
  }

  let asked = false;
  function soon() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; follow(); });
  }

  document.querySelectorAll(".scroll table").forEach(enliven);
  addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(document.body);
})();
