// The WebSocket console: what was sent, what came, and how it ended.
import { hex, one } from "./dom.js";

const MOST_LINES = 500;
const MOST_SHOWN = 4096;
let socket = null;

function note(kind, mark, text) {
  const log = one("ws-log");
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const line = document.createElement("div");
  line.className = kind;
  const time = document.createElement("time");
  time.textContent = new Date().toTimeString().slice(0, 8);
  const arrow = document.createElement("b");
  arrow.textContent = mark;
  const what = document.createElement("span");
  what.textContent = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}… (${text.length})` : text;
  line.append(time, arrow, what);
  log.append(line);
  while (log.children.length > MOST_LINES) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function show(state, isOpen) {
  one("ws-state").textContent = state;
  one("ws-submit").disabled = !isOpen;
  one("ws-close").disabled = !socket;
  one("ws-connect").disabled = !!socket;
}

one("ws-open").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket) return;
  let began;
  try {
    const url = new URL(one("ws-path").value.trim(), location.origin);
    if (url.host !== location.host) throw new Error("The path begins with one slash.");
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const protocols = one("ws-protocols").value.split(/[\s,]+/).filter(Boolean);
    began = new WebSocket(url, protocols);
  } catch (error) {
    note("bad", "×", error.message);
    return;
  }
  socket = began;
  began.binaryType = "arraybuffer";
  show("connecting", false);
  began.onopen = () => {
    const extras = [began.protocol, began.extensions].filter(Boolean).join("; ");
    note("event", "·", `open${extras ? `: ${extras}` : ""}`);
    show("open", true);
    one("ws-text").focus();
  };
  began.onmessage = ({ data }) => {
    if (typeof data === "string") note("got", "←", data);
    else note("got", "←", `${data.byteLength} bytes\n${hex(new Uint8Array(data), 256)}`);
  };
  began.onclose = ({ code, reason, wasClean }) => {
    socket = null;
    const how = wasClean ? "closed" : "lost";
    note(wasClean ? "event" : "bad", "×", `${how}, code ${code}${reason ? `: ${reason}` : ""}`);
    show(`${how} with ${code}`, false);
  };
});

one("ws-close").addEventListener("click", () => {
  if (!socket) return;
  const code = Number(one("ws-code").value);
  try {
    socket.close(code);
    note("event", "→", `close, code ${code}`);
    show("closing", false);
  } catch (error) {
    note("bad", "×", error.message);
  }
});

one("ws-send").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  const text = one("ws-text").value;
  socket.send(text);
  note("sent", "→", text);
  one("ws-text").select();
});
