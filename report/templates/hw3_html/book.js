// What the page remembers and adds; without it every word is there and both switches work.
"use strict";
const store = {
  get(key) { try { return localStorage.getItem("hw3." + key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem("hw3." + key, value); } catch { /* file:// may refuse */ } },
};
const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("lang");

function remember(name, first) {
  const inputs = [...document.querySelectorAll(`input[name=${name}]`)];
  const values = inputs.map((input) => input.value);
  const wanted = [first, store.get(name)].find((value) => values.includes(value));
  for (const input of inputs) {
    if (wanted) input.checked = input.value === wanted;
    input.addEventListener("change", () => store.set(name, input.value));
  }
  return inputs;
}

const languages = remember("language", asked);
const speak = () => {
  const chosen = languages.find((input) => input.checked).value;
  root.lang = chosen === "en" ? "en" : "zh-Hant-TW";
};
languages.forEach((input) => input.addEventListener("change", speak));
speak();
remember("theme");

// On a narrow screen the contents start folded and fold again once used.
const toc = document.querySelector(".toc details");
const wide = matchMedia("(min-width: 1100px)");
const fit = () => { toc.open = wide.matches; };
wide.addEventListener("change", fit);
fit();
toc.addEventListener("click", (event) => { if (event.target.closest("a") && !wide.matches) toc.open = false; });

// The section being read is marked in the contents.
toc.parentElement.classList.add("live"); // only the chapter being read lists its sections
const links = new Map([...toc.querySelectorAll("a")].map((a) => [a.hash.slice(1), a]));
const places = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
let waiting = false;
function mark() {
  waiting = false;
  const line = document.querySelector(".top").offsetHeight + innerHeight / 4;
  let here = null;
  for (const place of places) if (place.getBoundingClientRect().top <= line) here = place;
  for (const [id, link] of links) {
    if (here && id === here.id) {
      if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "true");
        toc.querySelectorAll("li.here").forEach((item) => item.classList.remove("here"));
        link.closest("nav > details > ol > li").classList.add("here");
        if (wide.matches) link.scrollIntoView({ block: "nearest" });
      }
    } else link.removeAttribute("aria-current");
  }
}
addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
mark();

// A link to what lies folded unfolds it.
const unfold = () => {
  const target = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target?.scrollIntoView();
};
addEventListener("hashchange", unfold);
unfold();

// A figure fills the window on a click, Enter or the space bar; Escape closes it.
const zoom = document.getElementById("zoom");
function enlarge(image) {
  zoom.querySelector(".stage").replaceChildren(Object.assign(new Image(), { src: image.src, alt: image.alt }));
  zoom.querySelector("p").textContent = image.closest("figure")?.querySelector("figcaption").innerText ?? "";
  zoom.showModal();
}
zoom.addEventListener("click", (event) => { if (event.target.tagName !== "P") zoom.close(); });
for (const image of document.querySelectorAll("figure img, .picture img")) {
  image.tabIndex = 0;
  image.setAttribute("role", "button");
  image.addEventListener("click", () => enlarge(image));
  image.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(image); }
  });
}

// A formula too wide for its column scrolls, so the keyboard must reach it.
const formulas = [...document.querySelectorAll("p:has(>math[display=block])")];
const inline = [...document.querySelectorAll(".whole")];
function reach() {
  inline.forEach((span) => span.classList.remove("wide"));
  const room = inline.map((span) => span.parentElement.closest("p,li,td,th,dd,figcaption,h2,h3,h4,h5,div").clientWidth);
  const wide = inline.map((span, i) => room[i] > 0 && span.getBoundingClientRect().width > room[i]);
  inline.forEach((span, i) => span.classList.toggle("wide", wide[i]));
  const scrolls = formulas.map((p) => p.scrollWidth > p.clientWidth);
  const tab = (element, on) => (on ? element.setAttribute("tabindex", "0") : element.removeAttribute("tabindex"));
  formulas.forEach((p, i) => tab(p, scrolls[i]));
  inline.forEach((span, i) => tab(span, wide[i]));
}
addEventListener("resize", reach);
languages.forEach((input) => input.addEventListener("change", reach));
reach();

// A table sorts by a column: largest first, smallest first, as it was. Numbers sort as numbers.
function shown(cell) {
  return [...cell.querySelectorAll(root.lang === "en" ? ".en" : ".zh")].map((part) => part.textContent).join(" ")
    || cell.textContent;
}
function value(cell) {
  const powers = (signs) => "e" + [...signs].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(sign)).map((i) => (i ? i - 1 : "-")).join("");
  const text = shown(cell).replace(/[,\s]/g, "").replace("−", "-").replace(/×10([⁻⁰¹²³⁴-⁹]+)/, (_, signs) => powers(signs));
  const number = text.match(/-?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return number ? Number(number[0]) : -Infinity;
}
function sorts(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const numeric = head.classList.contains("right");
    button.addEventListener("click", () => {
      const next = { none: "descending", descending: "ascending", ascending: "none" }[head.ariaSort ?? "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") head.setAttribute("aria-sort", next);
      const order = (a, b) => (numeric
        ? value(b.cells[column]) - value(a.cells[column])
        : shown(a.cells[column]).localeCompare(shown(b.cells[column]), root.lang));
      const sign = numeric === (next === "descending") ? 1 : -1;
      body.append(...(next === "none" ? rows : rows.toSorted((a, b) => sign * (order(a, b) || 0))));
    });
  });
}
document.querySelectorAll(".table.sorts table").forEach(sorts);

// A table or formula wider than its place says so until it was moved.
const wider = [...document.querySelectorAll(".table,.short p"), ...formulas];
const hint = () => wider.forEach((box) => box.classList.toggle("more", box.scrollLeft + box.clientWidth + 2 < box.scrollWidth));
wider.forEach((box) => box.addEventListener("scroll", hint, { passive: true }));
document.querySelectorAll("details").forEach((fold) => fold.addEventListener("toggle", hint));
addEventListener("resize", hint);
languages.forEach((input) => input.addEventListener("change", hint));
hint();
