"use strict";
// The gallery of enhance. It reads one JSON object from the page and asks nothing of a network; every text that comes
// from a report is set with textContent, never parsed as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const photos = data.photos;
  const comparing = data.columns.length > 0;
  const byKey = new Map(photos.map((photo) => [photo.key, photo]));
  const at = (id) => document.getElementById(id);

  // --- small helpers -------------------------------------------------------------------------------------------

  // Control characters, characters that change the direction of writing, and bytes that are not UTF-8, as escapes.
  const UNSHOWN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
  function shown(text) {
    return text.replace(UNSHOWN, (character) => {
      const code = character.charCodeAt(0);
      if (character === "\n") return "\\n";
      if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
      return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
    });
  }

  // An element with properties and children; texts become text nodes.
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const total = (photo) => Object.values(photo.ms ?? {}).reduce((sum, ms) => sum + ms, 0);
  const methodText = (photo) => (photo.chosen && photo.chosen !== photo.method ? `${photo.method}: ${photo.chosen}` : photo.method);
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

  // --- decisions, kept in the browser's storage ----------------------------------------------------------------

  const STORE = `enhance-gallery:${data.storage}`;
  let decisions = load(); // by key: {decision: "keep" | "reject" | "redo", redo: index of the choice}
  const past = []; // [key, what it was decided before], for undo

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(STORE)) ?? {};
      const valid = ([key, flag]) => byKey.has(key) && flag !== null && typeof flag === "object"
        && (flag.decision !== "redo" || byKey.get(key).redo[flag.redo]);
      return Object.fromEntries(Object.entries(kept).filter(valid));
    } catch {
      return {}; // no storage, or what it holds is damaged: decisions last as long as the page is open
    }
  }

  function save() {
    try {
      localStorage.setItem(STORE, JSON.stringify(decisions));
    } catch { /* as above */ }
  }

  function decide(photo, decision, redo = 0) {
    if (comparing || !photo || (decision === "redo" && !photo.redo[redo])) return;
    past.push([photo.key, decisions[photo.key]]);
    if (decision === "clear") delete decisions[photo.key];
    else decisions[photo.key] = decision === "redo" ? { decision, redo } : { decision };
    decided(photo);
    if (decision !== "clear" && at("advance").checked) step(1, photo);
  }

  function undo() {
    if (!past.length) return;
    const [key, before] = past.pop();
    if (before === undefined) delete decisions[key];
    else decisions[key] = before;
    decided(byKey.get(key));
    if (open) show(byKey.get(key));
    else tileOf(byKey.get(key))?.focus();
  }

  function decided(photo) {
    save();
    flagTile(photo);
    if (open === photo) flagPhoto();
    tellCount();
    at("undo").disabled = !past.length;
  }

  function flagText(photo) {
    const flag = decisions[photo.key];
    if (!flag) return "";
    return flag.decision === "redo" ? `redo: ${photo.redo[flag.redo].command.replace(/^enhance /, "")}` : flag.decision;
  }

  // --- the grid ------------------------------------------------------------------------------------------------

  const tiles = new Map(); // photo: its tile, a button
  let visible = photos; // in the order of the grid
  const tileOf = (photo) => tiles.get(photo);

  function grey(sentence) {
    return make("span", { className: "grey", textContent: shown(sentence) });
  }

  function unseen(photo) {
    if (photo.status === "failed" && photo.error) return photo.error.message;
    return photo.missing?.output ?? photo.missing?.source ?? "There is nothing to show.";
  }

  function tile(photo) {
    const lost = photo.status === "done" && photo.missing?.output;
    const picture = photo.thumbnail && !lost
      ? make("img", { loading: "lazy", decoding: "async", alt: "", src: photo.thumbnail })
      : grey(unseen(photo));
    const caption = make("span", { className: "caption" },
      make("span", { className: "name", textContent: shown(photo.name), title: shown(photo.name) }),
      make("span", { className: "what" }));
    const button = make("button", { type: "button", className: "tile" }, picture, caption);
    button.dataset.key = photo.key;
    tiles.set(photo, button);
    flagTile(photo);
    return button;
  }

  function flagTile(photo) {
    const button = tileOf(photo);
    const flag = decisions[photo.key];
    const status = photo.review || (photo.status === "done" ? photo.verdict : photo.status);
    const words = [methodText(photo), status, photo.missing && Object.keys(photo.missing).length ? "incomplete" : ""];
    const what = button.querySelector(".what");
    what.textContent = shown(words.filter(Boolean).join(", "));
    if (flag) {
      button.dataset.flag = flag.decision;
      what.prepend(make("span", { className: `flag ${flag.decision}`, textContent: flag.decision }), " ");
    } else {
      delete button.dataset.flag;
    }
  }

  function buildGrid() {
    const grid = document.createDocumentFragment();
    for (const photo of photos) grid.append(make("li", {}, tile(photo)));
    at("grid").append(grid);
  }

  function buildComparison() {
    const rows = new Map();
    for (const photo of photos) {
      if (!rows.has(photo.row)) rows.set(photo.row, []);
      rows.get(photo.row)[photo.column] = photo;
    }
    const head = make("tr", {}, make("th", { scope: "col", textContent: "original" }), ...data.columns.map((column) =>
      make("th", { scope: "col" }, column.label, make("code", { className: "command", textContent: column.command }))));
    const body = [...rows].map(([source, cells]) => {
      const first = cells.find(Boolean);
      const original = first?.before
        ? make("span", { className: "tile" }, make("img", { loading: "lazy", alt: "", src: first.before }))
        : grey(first?.missing?.source ?? "No original.");
      const name = make("span", { textContent: shown(source.split("/").pop()) });
      return make("tr", {}, make("th", { scope: "row" }, original, name),
        ...data.columns.map((_, index) => make("td", {}, cells[index] ? tile(cells[index]) : grey("No result."))));
    });
    at("comparison").append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
    at("comparison").hidden = false;
    at("grid").hidden = true;
  }

  // --- finding -------------------------------------------------------------------------------------------------

  const FILTERS = {
    "by-status": (photo) => [photo.status, ...(photo.review ? [photo.review] : [])],
    "by-method": (photo) => [methodText(photo)],
    "by-verdict": (photo) => (photo.verdict ? [photo.verdict] : []),
    "by-note": (photo) => photo.notes,
    "by-flag": (photo) => [decisions[photo.key]?.decision ?? "none"],
  };

  const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const byName = (a, b) => names.compare(a.name, b.name);
  // The largest value first; photos without one last.
  const largest = (value) => (a, b) => (value(b) ?? -Infinity) - (value(a) ?? -Infinity) || byName(a, b);
  const ORDERS = {
    report: (a, b) => photos.indexOf(a) - photos.indexOf(b),
    name: byName,
    change: largest((photo) => photo.change),
    clipped: largest((photo) => photo.clipped),
    certainty: largest((photo) => (photo.certainty === null ? null : -photo.certainty)),
    slowest: largest((photo) => (photo.ms ? total(photo) : null)),
  };

  function fillFilters() {
    for (const [id, valuesOf] of Object.entries(FILTERS)) {
      const counts = new Map();
      if (id === "by-flag") for (const name of ["none", "keep", "reject", "redo"]) counts.set(name, "");
      else for (const value of photos.flatMap((photo) => [...new Set(valuesOf(photo))])) {
        counts.set(value, (counts.get(value) ?? 0) + 1);
      }
      const options = [...counts].map(([value, count]) => make("option", {
        value, textContent: shown(value.length > 60 ? `${value.slice(0, 60)}…` : value) + (count === "" ? "" : ` (${count})`),
      }));
      at(id).append(make("option", { value: "", textContent: "all" }), ...options);
      at(id).closest("label").hidden = counts.size === 0;
    }
  }

  function find() {
    const wanted = Object.entries(FILTERS).filter(([id]) => at(id).value !== "");
    const text = at("search").value.toLocaleLowerCase();
    const fits = (photo) => photo.name.toLocaleLowerCase().includes(text)
      && wanted.every(([id, valuesOf]) => valuesOf(photo).includes(at(id).value));
    const order = at("sort").value;
    const sorted = order === "report" ? photos : [...photos].sort(ORDERS[order]);
    visible = sorted.filter(fits);
    if (!comparing) {
      const chosen = new Set(visible);
      for (const photo of photos) tileOf(photo).parentElement.hidden = !chosen.has(photo);
      at("grid").append(...visible.map((photo) => tileOf(photo).parentElement));
    }
    at("nothing").hidden = visible.length > 0;
    tellCount();
  }

  function tellCount() {
    const counts = {};
    for (const flag of Object.values(decisions)) counts[flag.decision] = (counts[flag.decision] ?? 0) + 1;
    const flags = Object.entries(counts).map(([decision, count]) => `${count} ${decision}`).join(", ");
    const some = visible.length === photos.length ? `${photos.length}` : `${visible.length} of ${photos.length}`;
    at("count").textContent = `${some} ${photos.length === 1 ? "photo" : "photos"}${flags ? `; ${flags}` : ""}`;
  }

  // --- one photo -----------------------------------------------------------------------------------------------

  let open = null;
  const view = { side: false, original: false, zoom: false, x: 0.5, y: 0.5, layer: "" };

  function show(photo) {
    if (!photo) return;
    const first = open === null;
    open = photo;
    view.layer = "";
    view.x = view.y = 0.5;
    setPressed("original", false);
    if (first) at("photo").showModal();
    if (location.hash !== `#${photo.key}`) history[first ? "pushState" : "replaceState"](null, "", `#${photo.key}`);
    at("name").textContent = shown(photo.name);
    at("place").textContent = shown(photo.source === photo.output ? `${photo.source} (in place)` : photo.source);
    fillLayers();
    fillChoices();
    fillFacts();
    flagPhoto();
    setPictures();
    const place = visible.indexOf(photo);
    at("previous").disabled = place <= 0;
    at("next").disabled = place < 0 || place === visible.length - 1;
    for (const near of [visible[place + 1], visible[place - 1]]) preload(near);
    if (first) at("slider").focus({ preventScroll: true });
  }

  function hide() {
    const photo = open;
    open = null;
    if (at("photo").open) at("photo").close();
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    const back = photo && tileOf(photo);
    back?.focus({ preventScroll: true });
    back?.scrollIntoView({ block: "nearest" });
  }

  function step(by, from = open) {
    const next = visible[visible.indexOf(from) + by];
    if (!next) return;
    if (open) show(next);
    else tileOf(next).focus();
  }

  const preloaded = []; // the last few, so that they are not thrown away
  function preload(photo) {
    for (const address of photo ? [photo.before, photo.after] : []) {
      if (!address) continue;
      preloaded.push(make("img", { src: address }));
      if (preloaded.length > 8) preloaded.shift();
    }
  }

  // The files themselves at 100 %, where browsers show them; else the previews.
  function setPictures() {
    const map = open.maps.find(([name]) => name === view.layer);
    const before = view.zoom && open.sourceFile ? open.sourceFile : open.before;
    const after = map ? map[1] : view.zoom && open.outputFile ? open.outputFile : open.after;
    setPicture("before", before, open.missing?.source);
    const failure = open.status === "failed" ? open.error?.message : "";
    setPicture("after", after, failure || open.missing?.output);
    at("frame").classList.toggle("alone", !before || !after);
    layout();
  }

  function setPicture(when, address, sentence) {
    const image = at(when);
    const note = image.nextElementSibling;
    image.hidden = !address;
    note.hidden = Boolean(address);
    note.textContent = shown(sentence || "There is nothing to show.");
    if (address && image.getAttribute("src") !== address) image.src = address;
    if (!address) image.removeAttribute("src");
    image.alt = when === "before" ? "the original" : view.layer || "the result";
  }

  // A file that a browser cannot show after all gives way to its preview, and that to a sentence.
  for (const when of ["before", "after"]) {
    at(when).addEventListener("error", () => {
      if (!open) return;
      const preview = open[when];
      if (preview && at(when).getAttribute("src") !== preview) at(when).src = preview;
      else setPicture(when, "", "The preview is missing; run enhance gallery again.");
    });
  }

  // Both panes show the same part of the photo at the same scale: `view.x` and `view.y` are its centre, 0 to 1.
  function layout() {
    if (!open) return;
    const frame = at("frame");
    const gap = view.side ? 4 : 0;
    const [width, height] = open.size ?? [4, 3];
    const space = { width: at("stage").clientWidth, height: at("stage").clientHeight };
    const room = view.side ? (space.width - gap) / 2 : space.width;
    const fit = Math.min(room / width, space.height / height, 2); // small photos are enlarged to twice their size, no more
    const scale = view.zoom ? 1 / devicePixelRatio : fit;
    const full = { width: width * scale, height: height * scale };
    const pane = { width: Math.min(room, full.width), height: Math.min(space.height, full.height) };
    view.full = full;
    const clamp = (centre, part, whole) => Math.min(1 - part / whole / 2, Math.max(part / whole / 2, centre));
    view.x = clamp(view.x, pane.width, full.width);
    view.y = clamp(view.y, pane.height, full.height);
    frame.style.width = `${view.side ? 2 * pane.width + gap : pane.width}px`;
    frame.style.height = `${pane.height}px`;
    frame.classList.toggle("sided", view.side);
    frame.classList.toggle("zoomed", view.zoom);
    frame.classList.toggle("originally", view.original);
    for (const [index, when] of ["before", "after"].entries()) {
      const image = at(when);
      image.parentElement.style.width = `${pane.width}px`;
      image.parentElement.style.left = `${view.side ? index * (pane.width + gap) : 0}px`;
      image.style.width = `${full.width}px`;
      image.style.height = `${full.height}px`;
      image.style.transform = `translate(${pane.width / 2 - view.x * full.width}px, ${pane.height / 2 - view.y * full.height}px)`;
    }
    at("scale").textContent = `${Math.round(scale * devicePixelRatio * 100)} %`;
  }

  function setPressed(name, pressed) {
    view[name] = pressed;
    at(name).setAttribute("aria-pressed", String(pressed));
  }

  function toggle(name) {
    setPressed(name, !view[name]);
    if (name === "zoom") setPictures();
    else layout();
  }

  function slide() {
    const slider = at("slider");
    at("frame").style.setProperty("--split", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % original`);
  }

  let dragged = null; // the last place of the pointer while it moves the photo
  at("stage").addEventListener("pointerdown", (event) => {
    if (!view.zoom || event.target === at("slider") || event.button !== 0) return;
    dragged = [event.clientX, event.clientY];
    at("stage").setPointerCapture(event.pointerId);
    at("frame").classList.add("dragging");
    event.preventDefault();
  });
  at("stage").addEventListener("pointermove", (event) => {
    if (!dragged) return;
    view.x -= (event.clientX - dragged[0]) / view.full.width;
    view.y -= (event.clientY - dragged[1]) / view.full.height;
    dragged = [event.clientX, event.clientY];
    layout();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    at("stage").addEventListener(end, () => {
      dragged = null;
      at("frame").classList.remove("dragging");
    });
  }

  // --- beside the photo ----------------------------------------------------------------------------------------

  function fillLayers() {
    at("layer-choice").hidden = open.maps.length === 0;
    const options = open.maps.map(([name]) => make("option", { value: name, textContent: shown(name.replaceAll("_", " ")) }));
    at("layer").replaceChildren(make("option", { value: "", textContent: "result" }), ...options);
  }

  function setLayer(name) {
    view.layer = name;
    at("layer").value = name;
    setPictures();
  }

  function nextLayer() {
    const all = ["", ...open.maps.map(([name]) => name)];
    setLayer(all[(all.indexOf(view.layer) + 1) % all.length]);
  }

  // A command whose lines break between words, and not behind hyphens.
  function wordsOf(command) {
    return shown(command).split(" ").flatMap((word) => [make("span", { className: "word", textContent: word }), " "]);
  }

  function fillChoices() {
    at("choices").replaceChildren(...open.redo.map((choice, index) => {
      const button = make("button", { type: "button" }, make("kbd", { textContent: String(index + 1) }),
        ` Redo, ${choice.label}: `, make("code", {}, ...wordsOf(choice.command.replace(/^enhance /, ""))));
      button.addEventListener("click", () => decide(open, "redo", index));
      return button;
    }));
  }

  function flagPhoto() {
    const text = flagText(open);
    const flag = decisions[open.key]?.decision ?? "";
    at("decision").replaceChildren(text
      ? make("span", { className: `flag ${flag}`, textContent: shown(text) })
      : "Not decided.");
  }

  function fillFacts() {
    const rows = [
      ["Status", [open.status, open.review && `reviewed: ${open.review}`].filter(Boolean).join(", ")],
      ["Method", methodText(open)],
      ["Verdict", open.verdict],
      ["Reason", open.reason],
      ["Certainty", open.certainty === null ? "" : percent(open.certainty)],
      ["Failure", open.error ? open.error.message : ""],
      ["Fused from", open.frames.length ? `${open.frames.length + 1} exposures` : ""],
      ["Size", open.size ? `${open.size[0]} × ${open.size[1]}` : ""],
      ["Mean change", open.change === null ? "" : `${percent(open.change)} of luma`],
      ["Newly clipped", open.clipped === null ? "" : `${percent(open.clipped)} of pixels`],
      ["Time", open.ms ? `${Math.round(total(open))} ms` : ""],
      ...open.notes.map((note) => ["Note", note]),
    ].filter(([, value]) => value);
    at("told").replaceChildren(...rows.flatMap(([term, value]) =>
      [make("dt", { textContent: term }), make("dd", { textContent: shown(value) })]));
    at("chart").replaceChildren(...(open.histogram ? histogram(open.histogram) : []));
    at("tables").replaceChildren(...[exposureTable(), pairs("Settings", open.controls), pairs("Decided", open.decided)].filter(Boolean));
    for (const [id, address] of [["open-source", open.sourceFile], ["open-output", open.outputFile]]) {
      at(id).hidden = !address;
      if (address) at(id).href = address;
      else at(id).removeAttribute("href");
    }
  }

  function histogram(counts) {
    const outline = (levels) => levels.map((count, level) => `${(level * 320) / 63},${(100 - count / 10.5).toFixed(1)}`).join(" ");
    const shapes = [];
    if (counts.after) shapes.push(svg("polygon", { class: "after", points: `0,100 ${outline(counts.after)} 320,100` }));
    if (counts.before) shapes.push(svg("polyline", { class: "before", points: outline(counts.before) }));
    return [
      make("h3", { textContent: "Luma" }),
      svg("svg", { class: "chart", viewBox: "0 0 320 101", role: "img", "aria-label": "Histogram of luma before and after" },
        ...shapes, svg("line", { class: "axis", x1: 0, x2: 320, y1: 100.5, y2: 100.5 })),
      make("p", { className: "legend" }, make("span", { className: "key before" }), " before ", make("span", { className: "key after" }), " after"),
    ];
  }

  function exposureTable() {
    if (!open.exposure) return null;
    const { before, after } = open.exposure;
    const rows = Object.keys(before).filter((name) => name in after).map((name) => make("tr", {},
      make("th", { scope: "row", textContent: shown(name) }),
      make("td", { textContent: before[name].toFixed(3) }), make("td", { textContent: after[name].toFixed(3) })));
    const head = make("tr", {}, ...["measure", "before", "after"].map((text) => make("th", { scope: "col", textContent: text })));
    return make("table", {}, make("caption", { textContent: "Exposure" }), head, ...rows);
  }

  function pairs(caption, items) {
    if (!items.length) return null;
    return make("table", {}, make("caption", { textContent: caption }), ...items.map(([name, value]) => make("tr", {},
      make("th", { scope: "row", textContent: shown(name) }), make("td", { textContent: shown(value) }))));
  }

  // --- export --------------------------------------------------------------------------------------------------

  const chosen = (decision) => photos.filter((photo) => decisions[photo.key]?.decision === decision);

  function review() {
    const entries = photos.filter((photo) => decisions[photo.key]).map((photo) => {
      const flag = decisions[photo.key];
      const entry = { decision: flag.decision, source: photo.source, output: photo.output, state: photo.state };
      if (flag.decision !== "redo") return entry;
      const { method, options } = photo.redo[flag.redo];
      return { ...entry, redo: { method, options } };
    });
    return `${JSON.stringify({ schema: "enhance-review/1", folder: data.folder, reports: data.reports, photos: entries }, null, 1)}\n`;
  }

  // The bytes of a list: UTF-8, and names that are not UTF-8 as their own bytes.
  function bytesOf(text) {
    const encoder = new TextEncoder();
    const parts = text.split(/((?<![\ud800-\udbff])[\udc80-\udcff])/);
    return new Blob(parts.map((part, index) => (index % 2 ? new Uint8Array([part.charCodeAt(0) - 0xdc00]) : encoder.encode(part))));
  }

  // One path a line; NULs between them where a name holds a line break. Both are valid as `@list.txt`.
  function list(decision) {
    const paths = chosen(decision).map((photo) => photo.source).filter(Boolean);
    return bytesOf(paths.map((path) => path + (paths.some((one) => /[\r\n]/.test(one)) ? "\0" : "\n")).join(""));
  }

  function download(name, blob) {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  function fillExport() {
    const files = [
      ["review.json", () => new Blob([review()], { type: "application/json" })],
      ...["keep", "reject", "redo"].map((decision) => [`${decision}.txt`, () => list(decision)]),
    ];
    at("files").replaceChildren(...files.map(([name, content]) => {
      const button = make("button", { type: "button", textContent: name });
      button.addEventListener("click", () => download(name, content()));
      return button;
    }));
    const counts = ["keep", "reject", "redo"].map((decision) => `${chosen(decision).length} ${decision}`).join(", ");
    at("decided").textContent = `Decided: ${counts}, of ${photos.length} photos.`;
  }

  // --- events --------------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.key) show(byKey.get(button.dataset.key));
    else if (button?.dataset.decision) decide(open, button.dataset.decision);
    else if (button && "close" in button.dataset) button.closest("dialog").close();
    // What was clicked with a mouse gives the keyboard back, so that the space bar does not press it again.
    if (open && event.detail > 0) event.target.closest("button, input[type=checkbox]")?.blur();
  });
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("close").addEventListener("click", hide);
  at("photo").addEventListener("close", () => open && hide()); // by the Escape key
  for (const name of ["side", "zoom", "original"]) at(name).addEventListener("click", () => toggle(name));
  at("layer").addEventListener("change", () => {
    setLayer(at("layer").value);
    at("layer").blur();
  });
  at("slider").addEventListener("input", slide);
  at("undo").addEventListener("click", undo);
  at("help").addEventListener("click", () => at("keys").showModal());
  at("export").addEventListener("click", () => {
    fillExport();
    at("exporting").showModal();
  });
  at("finding").addEventListener("input", find);
  at("finding").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("resize", layout);
  addEventListener("hashchange", route);

  const KEYS = {
    n: () => step(1), p: () => step(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1),
    s: () => open && toggle("side"), z: () => open && toggle("zoom"), m: () => open?.maps.length && nextLayer(),
    k: () => decide(current(), "keep"), x: () => decide(current(), "reject"), c: () => decide(current(), "clear"),
    r: () => decide(current(), "redo"), u: undo,
  };

  // The photo that keys decide on: the open one, or that of the tile with the focus.
  function current() {
    return open ?? byKey.get(document.activeElement?.dataset?.key);
  }

  // Buttons and fields that have the focus keep their own keys.
  function ownsKey(element, key) {
    if (element.matches("select, input:not([type=range]):not([type=checkbox]), textarea")) return true;
    if (element.matches("input[type=range]")) return key.startsWith("Arrow");
    return key === " " && element.matches("button, summary, a, input[type=checkbox]");
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || at("keys").open || at("exporting").open) return;
    if (ownsKey(event.target, event.key)) return;
    if (event.key === " " && open) {
      event.preventDefault();
      if (!event.repeat && !view.original) {
        setPressed("original", true);
        layout();
      }
    } else if (/^[1-9]$/.test(event.key) && current()) {
      decide(current(), "redo", Number(event.key) - 1);
    } else if (KEYS[event.key] && (open || !event.key.startsWith("Arrow"))) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !open || !view.original || ownsKey(event.target, " ")) return;
    event.preventDefault();
    setPressed("original", false);
    layout();
  });

  // A photo has an address, so that it can be reloaded and gone back from.
  function route() {
    const photo = byKey.get(location.hash.slice(1));
    if (photo) show(photo);
    else if (open) hide();
  }

  fillFilters();
  if (comparing) buildComparison();
  else buildGrid();
  find();
  slide();
  route();
  document.documentElement.dataset.ready = "yes";
})();
