"use strict";
// No framework, no build step: the server renders, this puts what changed in
// its place and sends what people do.
(() => {
  const app = () => document.getElementById("app");
  const me = () => app().dataset.as;
  const post = (what, body) => fetch("/_sandbox/" + what, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });

  // morph makes old like new and keeps what it can: focus, what is typed,
  // where one has scrolled to.
  const keyOf = (n) => n.nodeType === 1 ? n.id || n.dataset.key || "" : "";
  function morph(old, next) {
    if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || keyOf(old) !== keyOf(next)) {
      old.replaceWith(next);
      return;
    }
    if (old.nodeType !== 1) {
      if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
      return;
    }
    const busy = old.getAttribute("aria-busy");
    for (const { name } of [...old.attributes]) {
      if (!next.hasAttribute(name) && !(name === "open" && old.id === "switcher") && name !== "aria-busy") old.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (old.getAttribute(name) !== value && !(old.id === "drawer")) old.setAttribute(name, value);
    }
    if (busy) old.setAttribute("aria-busy", busy);
    if (["TEXTAREA", "INPUT", "SELECT"].includes(old.nodeName)) return;
    const known = new Map();
    for (const c of old.children) if (keyOf(c)) known.set(keyOf(c), c);
    let here = old.firstChild;
    for (const child of [...next.childNodes]) {
      const match = keyOf(child) && known.get(keyOf(child));
      if (match && match !== here) old.insertBefore(match, here);
      else if (!match && (!here || keyOf(here) || keyOf(child) || here.nodeName !== child.nodeName)) {
        old.insertBefore(child, here);
        continue;
      }
      const target = match || here;
      here = target.nextSibling;
      morph(target, child);
    }
    while (here) { const gone = here; here = here.nextSibling; gone.remove(); }
  }

  const atEnd = (el) => el && el.scrollHeight - el.scrollTop - el.clientHeight < 80;
  const lists = () => ["messages", "replies"].map((id) => document.getElementById(id)).filter(Boolean);

  let asked = 0, running = false;
  async function refresh() {
    asked++;
    if (running) return;
    running = true;
    while (asked) {
      asked = 0;
      try {
        const answer = await fetch(location.href, { headers: { "X-Part": "app" } });
        if (!answer.ok) continue;
        const page = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("app");
        const following = lists().filter(atEnd).map((l) => l.id);
        const modal = document.getElementById("modal");
        morph(app(), document.adoptNode(page));
        for (const id of following) { const l = document.getElementById(id); if (l) l.scrollTop = l.scrollHeight; }
        if (document.getElementById("modal") !== modal) focusModal();
      } catch { await new Promise((r) => setTimeout(r, 500)); asked++; }
    }
    running = false;
  }

  function focusModal() {
    const modal = document.getElementById("modal");
    const first = modal && (modal.querySelector("textarea, input, select") || modal.querySelector(".button"));
    if (first) first.focus({ preventScroll: true });
  }

  function ask(confirm) {
    const box = document.getElementById("confirm");
    const say = (id, o, fallback) => { document.getElementById(id).textContent = (o && o.text) || fallback; };
    say("confirm-title", confirm.title, "Are you sure?");
    say("confirm-text", confirm.text, "");
    say("confirm-yes", confirm.confirm, "Yes");
    say("confirm-no", confirm.deny, "Cancel");
    document.getElementById("confirm-yes").className = "button solid " + (confirm.style || "primary");
    return new Promise((done) => {
      box.returnValue = "";
      box.addEventListener("close", () => done(box.returnValue === "yes"), { once: true });
      box.showModal();
    });
  }

  async function press(button) {
    if (button.dataset.confirm && !(await ask(JSON.parse(button.dataset.confirm)))) return;
    const message = button.closest("[data-ts]");
    const click = { user: me(), action_id: button.dataset.actionId, value: button.dataset.value || "" };
    if (button.dataset.view) click.view = button.dataset.view;
    else Object.assign(click, { channel: message.dataset.channel, ts: message.dataset.ts });
    button.setAttribute("aria-busy", "true");
    try { await post("click", click); } finally { button.removeAttribute("aria-busy"); refresh(); }
  }

  function complain(form, block, text) {
    const field = [...form.querySelectorAll(".b-input")].find((e) => e.dataset.blockId === block);
    const place = field && field.querySelector(".error");
    if (place) { place.textContent = text; place.classList.toggle("shown", !!text); }
  }

  async function submit(form) {
    const values = {};
    for (const [name, value] of new FormData(form)) values[name] = value;
    let fine = true;
    for (const input of form.querySelectorAll("[aria-required]")) {
      const empty = !input.value.trim();
      complain(form, input.name, empty ? "Please complete this required field." : "");
      if (empty && fine) { input.focus(); fine = false; }
    }
    if (!fine) return;
    const button = form.querySelector("[type=submit]");
    button.setAttribute("aria-busy", "true");
    try { await post("submit", { user: me(), view: form.dataset.view, values }); } finally { button.removeAttribute("aria-busy"); refresh(); }
  }

  async function send(form) {
    const box = form.querySelector("textarea"), text = box.value.trim();
    if (!text) return;
    box.value = "";
    form.classList.remove("ready");
    const channel = app().dataset.in, user = me();
    const answer = text.startsWith("/")
      ? await post("command", { user, channel, text })
      : await post("say", { user, channel, thread_ts: form.dataset.thread, text: text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;") });
    if (!answer.ok) { box.value = text; box.setCustomValidity((await answer.json()).error || "That did not work."); box.reportValidity(); }
    refresh();
  }

  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-action-id].button");
    if (button) { press(button); return; }
    if (e.target.closest("[data-close]") || e.target.classList.contains("cover")) { post("close", { user: me() }).then(refresh); return; }
    const open = document.getElementById("switcher");
    if (open.open && !open.contains(e.target)) open.open = false;
  });
  document.addEventListener("submit", (e) => {
    if (e.target.method === "dialog") return;
    e.preventDefault();
    if (e.target.id === "modal") submit(e.target);
    else send(e.target);
  });
  document.addEventListener("input", (e) => {
    const form = e.target.closest(".composer");
    if (!form) return;
    e.target.setCustomValidity("");
    form.classList.toggle("ready", !!e.target.value.trim());
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing && e.target.closest(".composer textarea")) { e.preventDefault(); send(e.target.closest(".composer")); }
    if (e.key === "Enter" && (e.metaKey || e.ctrlKey) && e.target.closest("#modal")) { e.preventDefault(); submit(document.getElementById("modal")); }
    if (e.key === "Escape" && document.getElementById("modal")) post("close", { user: me() }).then(refresh);
  });

  if (!location.search.includes("as=")) {
    history.replaceState(null, "", "?" + new URLSearchParams({ as: me(), in: app().dataset.in }) + location.hash);
  }
  for (const l of lists()) l.scrollTop = l.scrollHeight;
  if (location.hash) { const m = document.getElementById(location.hash.slice(1)); if (m) m.scrollIntoView({ block: "center" }); }
  focusModal();
  if (app().dataset.kind === "home") post("home", { user: me() }).then(refresh);
  const events = new EventSource("/_sandbox/events");
  events.onmessage = (e) => { if (e.data !== app().dataset.revision) refresh(); };
})();
