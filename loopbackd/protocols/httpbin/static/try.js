// The form: one request to this address, and its answer as the browser got it.
import { hex, one } from "./dom.js";

const MOST = 1 << 20;
const BODILESS = new Set(["GET", "HEAD"]);
let running = null;
let picture = null;

function fieldsOf(text) {
  const fields = new Headers();
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error(`A header field is name, colon, value: ${line.trim()}`);
    fields.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}

function targetOf(text) {
  const url = new URL(text, location.origin);
  if (url.origin !== location.origin) throw new Error(`The path begins with one slash: ${text}`);
  return url;
}

function say(text, isBad = false) {
  one("answer").hidden = false;
  one("answer-status").textContent = text;
  one("answer-status").className = isBad ? "bad" : "";
}

function clear() {
  one("answer-fields").textContent = one("answer-body").textContent = "";
  one("answer-fields").hidden = one("answer-body").hidden = one("answer-image").hidden = true;
  if (picture) URL.revokeObjectURL(picture);
  picture = null;
}

// An answer without end is shown as it comes, and left alone after a megabyte.
async function read(response, stop) {
  const type = response.headers.get("content-type") || "";
  const isText = /^$|^text\/|json|xml|javascript|urlencoded|x-yaml/.test(type) && !/svg/.test(type);
  const parts = [];
  let size = 0;
  let text = "";
  const decoder = new TextDecoder();
  const reader = response.body ? response.body.getReader() : null;
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (isText) {
      text += decoder.decode(value, { stream: true });
      one("answer-body").textContent = text;
      one("answer-body").hidden = false;
    } else {
      parts.push(value);
    }
    if (size > MOST) {
      stop.abort();
      break;
    }
  }
  if (!isText && size) {
    const blob = new Blob(parts, { type });
    if (/^image\//.test(type)) {
      picture = URL.createObjectURL(blob);
      const image = document.createElement("img");
      image.alt = "The body of the answer";
      image.src = picture;
      one("answer-image").replaceChildren(image);
      one("answer-image").hidden = false;
    } else {
      one("answer-body").textContent = hex(new Uint8Array(await blob.arrayBuffer()));
      one("answer-body").hidden = false;
    }
  }
  return size;
}

async function send() {
  if (running) running.abort();
  const stop = (running = new AbortController());
  clear();
  let said = "";
  try {
    const method = one("try-method").value;
    const url = targetOf(one("try-path").value.trim());
    const init = { method, headers: fieldsOf(one("try-headers").value), signal: stop.signal, cache: "no-store" };
    const body = one("try-body").value;
    if (body && !BODILESS.has(method)) init.body = body;
    say(`${method} ${url.pathname}${url.search} …`);
    one("try-stop").hidden = false;
    const began = performance.now();
    const response = await fetch(url, init);
    const moved = response.redirected ? ` from ${response.url.slice(location.origin.length)}` : "";
    said = `${response.status} ${response.statusText}${moved}`;
    say(said, response.status >= 400);
    const fields = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    one("answer-fields").textContent = fields.join("\n");
    one("answer-fields").hidden = !fields.length;
    const size = await read(response, stop);
    const end = size > MOST ? ", stopped there" : "";
    say(`${said} · ${size} bytes in ${Math.round(performance.now() - began)} ms${end}`, response.status >= 400);
  } catch (error) {
    if (running !== stop) return;
    const why = error.name === "AbortError" ? "stopped" : error.message;
    say(said ? `${said} · ${why}` : why, true);
  } finally {
    if (running === stop) {
      running = null;
      one("try-stop").hidden = true;
    }
  }
}

one("try").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
one("try-stop").addEventListener("click", () => running && running.abort());

document.addEventListener("click", (event) => {
  const button = event.target.closest(".pick");
  if (!button) return;
  const { path, method, body, type, socket } = button.dataset;
  if (socket !== undefined) {
    one("ws-path").value = path;
    one("ws-path").focus();
    return;
  }
  one("try-path").value = path;
  one("try-method").value = method;
  one("try-body").value = body;
  one("try-headers").value = type ? `Content-Type: ${type}` : "";
  one("try-path").focus();
  if (!path.includes("{")) send();
});
