// Passkeys need the browser's own API; everything else works without scripts.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

const keys = (list) => (list ?? []).map((k) => ({ ...k, id: bytes(k.id) }));

async function sign(options) {
  const o = options.publicKey;
  const got = await navigator.credentials.get({ publicKey: { ...o, challenge: bytes(o.challenge), allowCredentials: keys(o.allowCredentials) } });
  return {
    id: got.id, rawId: text(got.rawId), type: got.type, clientExtensionResults: got.getClientExtensionResults(),
    response: {
      authenticatorData: text(got.response.authenticatorData), clientDataJSON: text(got.response.clientDataJSON),
      signature: text(got.response.signature), userHandle: got.response.userHandle ? text(got.response.userHandle) : undefined,
    },
  };
}

async function make(options) {
  const o = options.publicKey;
  const made = await navigator.credentials.create({
    publicKey: { ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: keys(o.excludeCredentials) },
  });
  return {
    id: made.id, rawId: text(made.rawId), type: made.type, clientExtensionResults: made.getClientExtensionResults(),
    response: { attestationObject: text(made.response.attestationObject), clientDataJSON: text(made.response.clientDataJSON), transports: made.response.getTransports?.() ?? [] },
  };
}

const ways = {
  "sign-in": async (at) => ask("/sign-in/passkey", { next: at.dataset.next, response: await sign(await ask("/sign-in/options")) }),
  enrol: async (at) => ask("/passkeys", { label: at.elements.label.value, response: await make(await ask("/passkeys/options")) }),
  approve: async (at) => {
    const glass = at.elements.break_glass?.checked ?? false;
    const reason = (glass ? at.elements.emergency?.value : at.elements.reason?.value) ?? "";
    const options = await ask(at.dataset.page + "/confirm/options", { reason, break_glass: glass });
    return ask(at.dataset.page + "/confirm/passkey", { response: await sign(options) });
  },
};

for (const at of document.querySelectorAll("[data-passkey]")) {
  at.addEventListener(at.tagName === "FORM" ? "submit" : "click", async (event) => {
    event.preventDefault();
    const problem = document.querySelector(".problem[role=alert]");
    problem.hidden = true;
    try {
      location.assign((await ways[at.dataset.passkey](at)).location);
    } catch (e) {
      // The browser's own errors say little that a person could use.
      problem.textContent = e instanceof DOMException ? "Your passkey did not answer, or you stopped it. Nothing was counted; try again." : e.message;
      problem.hidden = false;
    }
  });
}
