// Passkeys: the one thing that a page cannot do without a script. A form with data-passkey is filled in and sent by it.
"use strict";

const passkeysWork = Boolean(
  window.isSecureContext && window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON,
);

async function answerOf(form) {
  const { publicKey } = JSON.parse(form.dataset.options);
  if (form.dataset.passkey === "create") {
    return navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey),
    });
  }
  return navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
  });
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  const refusal = form.querySelector("[data-refusal]");
  refusal.hidden = true;
  try {
    const credential = await answerOf(form);
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch {
    refusal.textContent = form.dataset.failed;
    refusal.hidden = false;
  }
});

// A passkey is bound to the portal's name, and a browser gives none to a page that was reached otherwise.
function isReachedByName(form) {
  const { publicKey } = JSON.parse(form.dataset.options);
  const name = publicKey.rp ? publicKey.rp.id : publicKey.rpId;
  return location.hostname === name || location.hostname.endsWith(`.${name}`);
}

document.addEventListener("DOMContentLoaded", () => {
  const forms = [...document.querySelectorAll("form[data-passkey]")];
  if (!passkeysWork || !forms.every(isReachedByName)) return;
  for (const form of forms) form.hidden = false;
  for (const words of document.querySelectorAll("[data-without-passkeys]")) words.hidden = true;
});
