"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  /* Tabs: without this script every section is simply shown. */
  const sections = all("main > section");
  const links = all("nav.tabs a");
  const show = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const target = wanted ? document.getElementById(wanted) : null;
    const section = (target && target.closest("main > section")) || sections[0];
    for (const other of sections) other.hidden = other !== section;
    for (const link of links) {
      if (link.getAttribute("href") === "#" + section.id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (target && target !== section) target.scrollIntoView();
  };
  if (sections.length > 1) {
    addEventListener("hashchange", () => { show(); });
    show();
  }

  /* Sorting: numbers by data-v, text by its words; cells without a value go last. */
  const value = (row, place) => {
    const cell = row.cells[place];
    if (!cell) return null;
    const raw = cell.dataset.v;
    if (raw === undefined || raw === "") return null;
    const number = Number(raw);
    return Number.isNaN(number) ? raw : number;
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  const isAside = (body) => body.classList.contains("aside"); /* no systems: below them however they are sorted */
  const members = (body) => [...body.rows].filter((row) => !row.matches(".family, .why"));
  const sort = (table, place, sign) => {
    const bodies = [...table.tBodies];
    for (const body of bodies) {
      const rows = members(body).sort((a, b) => compare(value(a, place), value(b, place), sign));
      body.append(...rows);
    }
    bodies.sort((a, b) => {
      const last = isAside(a) - isAside(b);
      if (last) return last;
      const [first, second] = [members(a)[0], members(b)[0]];
      if (!first || !second) return !first - !second;
      return compare(value(first, place), value(second, place), sign);
    });
    table.append(...bodies);
  };
  for (const table of all("table.sortable")) {
    const heads = all("thead th[aria-sort]", table);
    for (const head of heads) {
      head.querySelector("button").addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = head.dataset.first || "descending";
        const order = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", order);
        sort(table, head.cellIndex, order === "ascending" ? 1 : -1);
      });
    }
  }

  /* Families in long leaderboards: collapse, expand, or rank all systems together. */
  const setOpen = (body, open) => {
    body.dataset.open = String(open);
    const button = body.querySelector("tr.family button");
    if (button) button.setAttribute("aria-expanded", String(open));
  };
  for (const table of all("table.grouped")) {
    const bodies = [...table.tBodies].filter((body) => !isAside(body));
    for (const body of bodies) {
      setOpen(body, false);
      body.querySelector("tr.family button").addEventListener("click", () => setOpen(body, body.dataset.open !== "true"));
    }
    const tools = document.getElementById(table.dataset.tools);
    tools.querySelector("[data-do=expand]").addEventListener("click", () => bodies.forEach((body) => setOpen(body, true)));
    tools.querySelector("[data-do=collapse]").addEventListener("click", () => bodies.forEach((body) => setOpen(body, false)));
    const homes = new Map(bodies.flatMap((body) => members(body).map((row) => [row, body])));
    tools.querySelector("[data-do=flat]").addEventListener("change", (event) => {
      const flat = event.target.checked;
      table.classList.toggle("flat", flat);
      for (const [row, body] of homes) (flat ? bodies[0] : body).append(row);
      if (flat) setOpen(bodies[0], true);
      const head = all("thead th[aria-sort]", table).find((th) => th.getAttribute("aria-sort") !== "none");
      if (head) sort(table, head.cellIndex, head.getAttribute("aria-sort") === "ascending" ? 1 : -1);
    });
  }

  /* Failure browser. */
  for (const tools of all("[data-filter]")) {
    const table = document.getElementById(tools.dataset.filter);
    const rows = [...table.tBodies[0].rows];
    const [system, issue, words] = ["system", "issue", "words"].map((name) => tools.querySelector(`[data-by=${name}]`));
    const count = tools.querySelector("output");
    const apply = () => {
      const text = words.value.toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const fits =
          (!system.value || row.dataset.system === system.value) &&
          (!issue.value || row.dataset.issues.split(" ").includes(issue.value)) &&
          (!text || row.textContent.toLowerCase().includes(text));
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = `${shown} of ${rows.length} shown`;
    };
    for (const control of [system, issue, words]) control.addEventListener("input", apply);
    apply();
  }
})();
